//! A small encoder, texts, and what a fused file says of them in a plain session.

use std::path::Path;

use ndarray::{Array2, s};
use offshoot::adapters::{Classes, EncoderTag, Head, HeadFile, HeadKind};
use offshoot::{EmbedOptions, Encoder, Prompt};
use ort::session::{Session, SessionOutputs};
use ort::value::TensorRef;

use crate::common;
use crate::published::{Copy, open};

/// Largest absolute difference of a probability from the one computed apart.
pub(crate) const TOLERANCE: f64 = 1e-5;

/// The first ones are learned, all are asked about.
pub(crate) const TEXTS: [&str; 10] = [
    "a good film",
    "the plot was dull",
    "a great actor",
    "free money",
    "you win an offer",
    "the invoice is due",
    "a bad movie",
    "invoice of today",
    "",
    "free film , great offer !",
];
pub(crate) const LABELS: [&str; 7] =
    ["Film", "Film", "Film", "spam – free", "spam – free", "bills", "Film"];

/// A small published encoder, open, and where its bundle lies.
pub(crate) fn encoder() -> (Copy, Encoder) {
    let copy = Copy::of("onnx_external");
    copy.import().unwrap();
    let encoder = open(&copy.bundle());
    (copy, encoder)
}

pub(crate) fn embed(encoder: &Encoder, dimensions: Option<usize>) -> Array2<f32> {
    let options = EmbedOptions {
        prompt: Prompt::None,
        dimensions: dimensions.map(|n| n.try_into().unwrap()),
        ..Default::default()
    };
    encoder.embed_with(&TEXTS, &options).unwrap().into_vectors()
}

pub(crate) fn learn(encoder: &Encoder, x: &Array2<f32>, kind: HeadKind) -> HeadFile {
    let (classes, y) = Classes::from_labels(&LABELS).unwrap();
    let head = kind.fit(x.slice(s![..LABELS.len(), ..]), &y, classes).unwrap();
    let tag = EncoderTag {
        digest: encoder.digest().into(),
        name: encoder.manifest().name.clone(),
        dimensions: x.ncols(),
        prompt: None,
    };
    HeadFile::new(tag, head, &y)
}

/// What a program that knows nothing of this project gets from the file.
pub(crate) struct Answers {
    pub(crate) labels: Vec<String>,
    pub(crate) probabilities: Array2<f64>,
    /// Whether each is known, with its score, where the file says so.
    pub(crate) known: Option<Vec<(bool, f32)>>,
}

pub(crate) fn session(file: &Path) -> Session {
    Session::builder(common::engine().environment())
        .unwrap()
        .with_intra_threads(1)
        .unwrap()
        .commit_from_file(file)
        .unwrap()
}

/// What a session gives for the texts.
pub(crate) fn with_outputs<T>(
    session: &mut Session,
    encoder: &Encoder,
    prompt: &Prompt,
    take: impl FnOnce(&SessionOutputs<'_>) -> T,
) -> T {
    let options = EmbedOptions { prompt: prompt.clone(), ..Default::default() };
    let rows: Vec<Vec<u32>> =
        TEXTS.iter().map(|text| encoder.tokenize(text, &options).unwrap().ids).collect();
    let tokens = rows.iter().map(Vec::len).max().unwrap();
    let pad = encoder.manifest().text.as_ref().unwrap().pad_id;
    let mut ids = Array2::from_elem((rows.len(), tokens), i64::from(pad));
    let mut mask = Array2::<i64>::zeros((rows.len(), tokens));
    for (i, row) in rows.iter().enumerate() {
        for (j, &id) in row.iter().enumerate() {
            ids[[i, j]] = i64::from(id);
            mask[[i, j]] = 1;
        }
    }
    let ids = TensorRef::from_array_view(([rows.len(), tokens], ids.as_slice().unwrap())).unwrap();
    let mask =
        TensorRef::from_array_view(([rows.len(), tokens], mask.as_slice().unwrap())).unwrap();
    let outputs = session.run(ort::inputs!["input_ids" => ids, "attention_mask" => mask]).unwrap();
    take(&outputs)
}

pub(crate) fn run(file: &Path, encoder: &Encoder, width: usize) -> Answers {
    with_outputs(&mut session(file), encoder, &Prompt::None, |outputs| answers(outputs, width))
}

fn answers(outputs: &SessionOutputs<'_>, width: usize) -> Answers {
    let labels: Vec<String> =
        outputs["label"].try_extract_strings().unwrap().1.into_iter().collect();
    let (shape, values) = outputs["probabilities"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(shape[0], TEXTS.len() as i64);
    let probabilities = Array2::from_shape_fn((TEXTS.len(), shape[1] as usize), |(i, k)| {
        f64::from(values[i * shape[1] as usize + k])
    });
    let (_, indices) = outputs["label_index"].try_extract_tensor::<i64>().unwrap();
    for (row, &index) in probabilities.outer_iter().zip(indices) {
        assert!(row.iter().all(|&p| p <= row[index as usize]));
    }
    let known = outputs.get("known").map(|known| {
        let known = known.try_extract_tensor::<bool>().unwrap().1;
        let scores = outputs["known_score"].try_extract_tensor::<f32>().unwrap().1;
        known.iter().copied().zip(scores.iter().copied()).collect()
    });
    let (shape, _) = outputs["embedding"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(shape[1], width as i64, "the whole embedding is an output");
    Answers { labels, probabilities, known }
}

pub(crate) fn check(head: &Head, x: &Array2<f32>, answers: &Answers) {
    let expected = head.predict_proba(x.view()).unwrap();
    for (found, expected) in answers.probabilities.iter().zip(&expected) {
        assert!((found - expected).abs() <= TOLERANCE, "{found} against {expected}");
    }
    for (label, class) in answers.labels.iter().zip(head.predict(x.view()).unwrap()) {
        assert_eq!(label, head.classes().name(class));
    }
    // A graph that ignored its input would pass what is above for one text only.
    let first = answers.probabilities.row(0);
    assert!(
        answers.probabilities.outer_iter().any(|row| (&row - &first).mapv(f64::abs).sum() > 1e-4)
    );
}
