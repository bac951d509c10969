//! Heads that compare with their examples: ties, zeros and queries that are examples are decided
//! in the fused file as in the head.

use ndarray::{Array2, Axis};
use offshoot::Encoder;
use offshoot::adapters::{Cache, Classes, EncoderTag, Head, HeadFile, Metric, NearestNeighbors};
use offshoot_export::{FuseOptions, fuse};

use crate::published::Copy;
use crate::support::{TOLERANCE, embed, encoder, run};

/// Rows of the texts' embeddings that are examples, and the label of each: some stand twice with
/// labels that differ, and the last is made of zeros.
const EXAMPLES: [(usize, &str); 10] = [
    (2, "c"),
    (0, "b"),
    (0, "a"),
    (1, "a"),
    (3, "b"),
    (3, "c"),
    (3, "c"),
    (5, "c"),
    (1, "a"),
    (usize::MAX, "b"),
];

struct Ready {
    copy: Copy,
    encoder: Encoder,
    /// Embeddings of the texts.
    texts: Array2<f32>,
    examples: Array2<f32>,
    classes: Classes,
    y: Vec<usize>,
}

fn ready() -> Ready {
    let (copy, encoder) = encoder();
    let texts = embed(&encoder, None);
    let rows = EXAMPLES.map(|(row, _)| row);
    let mut examples = texts.select(Axis(0), &rows.map(|row| row.min(texts.nrows() - 1)));
    for (mut example, &row) in examples.outer_iter_mut().zip(&rows) {
        if row == usize::MAX {
            example.fill(0.0);
        }
    }
    let (classes, y) = Classes::from_labels(&EXAMPLES.map(|(_, label)| label)).unwrap();
    Ready { copy, encoder, texts, examples, classes, y }
}

impl Ready {
    /// Fuses and compares with the head; gives the head's probabilities.
    fn check(&self, head: Head) -> Array2<f64> {
        let tag = EncoderTag {
            digest: self.encoder.digest().into(),
            name: self.encoder.manifest().name.clone(),
            dimensions: self.texts.ncols(),
            prompt: None,
        };
        let head = HeadFile::new(tag, head, &self.y);
        let file = self.copy.path("fused.onnx");
        let options = FuseOptions { overwrite: true, ..Default::default() };
        fuse(&self.copy.bundle(), &head, &file, &options, &mut |_| {}).unwrap();
        let answers = run(&file, &self.encoder, self.encoder.dimensions());
        let expected = head.head.predict_proba(self.texts.view()).unwrap();
        for (found, expected) in answers.probabilities.iter().zip(&expected) {
            assert!((found - expected).abs() <= TOLERANCE, "{found} against {expected}");
        }
        let labels = head.head.predict(self.texts.view()).unwrap();
        for (i, (found, class)) in answers.labels.iter().zip(labels).enumerate() {
            assert_eq!(found, head.head.classes().name(class), "text {i}");
        }
        expected
    }
}

#[test]
fn neighbours_vote_as_in_the_head() {
    let ready = ready();
    for metric in [Metric::Cosine, Metric::Euclidean] {
        for k in [1, 2, 3, 5, 9, 10, 30] {
            let settings = NearestNeighbors { neighbors: vec![k], metric };
            let head = settings.fit(ready.examples.view(), &ready.y, ready.classes.clone());
            let proba = ready.check(head.unwrap());
            // Text 0 is an example twice, with two labels: only these vote, alike.
            assert_eq!(proba[[0, 0]], proba[[0, 1]]);
            assert!(proba[[0, 2]] < proba[[0, 0]]);
            // Text 3 is three examples; two of them have another label than the first.
            let kept = (k.min(EXAMPLES.len())) as f64;
            let share = (kept * 2.0 / 3.0 + 1.0 / 3.0) / (kept + 1.0);
            assert!((proba[[3, 2]] - share).abs() < 1e-12);
        }
    }
}

#[test]
fn a_cache_answers_as_the_head() {
    let ready = ready();
    for (alpha, beta) in [(1.0, 5.5), (16.0, 40.0), (0.0, 2.0)] {
        let settings = Cache { alphas: vec![alpha], betas: vec![beta] };
        let head = settings.fit(ready.examples.view(), &ready.y, ready.classes.clone());
        let proba = ready.check(head.unwrap());
        assert!(
            proba.outer_iter().any(|row| (&row - &proba.row(0)).iter().any(|d| d.abs() > 0.05))
        );
    }
}

#[test]
fn an_embedding_of_zeros_is_like_none() {
    // The encoder gives none, so the head is asked through examples of zeros only.
    let ready = ready();
    let zeros = Array2::<f32>::zeros((ready.y.len(), ready.texts.ncols()));
    for metric in [Metric::Cosine, Metric::Euclidean] {
        let settings = NearestNeighbors { neighbors: vec![1], metric };
        let head = settings.fit(zeros.view(), &ready.y, ready.classes.clone()).unwrap();
        // All are as near: the shares of the votes are those of the labels.
        let proba = ready.check(head);
        assert!(proba.outer_iter().all(|row| (&row - &proba.row(0)).iter().all(|d| *d == 0.0)));
    }
    let head = Cache::default().fit(zeros.view(), &ready.y, ready.classes.clone()).unwrap();
    ready.check(head);
}
