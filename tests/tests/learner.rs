//! An encoder that is taught, with the tiny encoder and, for one test, the real one.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use offshoot::adapters::{Classes, HeadFile, HeadKind};
use offshoot::learner::{Action, ExampleId, Lesson, Store, Uncertainty};
use offshoot::{EmbedOptions, Encoder, Error, Learner, LearnerOptions, Prompt};
use offshoot_tests::tiny;

struct Place {
    folder: tempfile::TempDir,
    encoder: Encoder,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let encoder = offshoot_tests::open(&tiny::bundle(folder.path(), "tiny", 1));
    let path = folder.path().join("a.learner");
    Place { folder, encoder, path }
}

const LESSONS: [(&str, &str); 6] = [
    ("the film was great", "film"),
    ("a very good movie", "film"),
    ("the plot is dull", "film"),
    ("the invoice is due today", "money"),
    ("money offer", "money"),
    ("win free money", "money"),
];

fn taught(place: &Place, head: HeadKind) -> Learner {
    let options = LearnerOptions { head, ..LearnerOptions::default() };
    let lessons = LESSONS.map(|(text, label)| Lesson::new(text, label));
    Learner::create_with(&place.path, &place.encoder, &options, &lessons).unwrap()
}

/// A head fitted to texts without a learner.
fn fitted(encoder: &Encoder, head: HeadKind, lessons: &[(&str, &str)]) -> Array2<f64> {
    let (texts, labels): (Vec<_>, Vec<_>) = lessons.iter().copied().unzip();
    let (classes, y) = Classes::from_labels(&labels).unwrap();
    let x = encoder.embed(&texts).unwrap();
    let head = head.fit(x.vectors(), &y, classes).unwrap();
    probe(encoder, &|x| head.predict_proba(x).unwrap())
}

const PROBES: [&str; 4] = ["the actor is good", "due today", "great offer", "x y z"];

fn probe(
    encoder: &Encoder,
    predict: &dyn Fn(ndarray::ArrayView2<'_, f32>) -> Array2<f64>,
) -> Array2<f64> {
    predict(encoder.embed(&PROBES).unwrap().vectors())
}

fn answers(learner: &Learner) -> Array2<f64> {
    let predictions = learner.predict_many(&PROBES).unwrap();
    let rows: Vec<f64> = predictions
        .iter()
        .flat_map(|prediction| {
            let best = prediction.probabilities.iter().map(|(_, p)| *p).fold(0.0, f64::max);
            assert_eq!(prediction.probability, best);
            assert!(prediction.probabilities.contains(&(prediction.label.clone(), best)));
            prediction.probabilities.iter().map(|(_, p)| *p)
        })
        .collect();
    Array2::from_shape_vec((PROBES.len(), rows.len() / PROBES.len()), rows).unwrap()
}

fn assert_close(a: &Array2<f64>, b: &Array2<f64>) {
    assert_eq!(a.dim(), b.dim());
    assert!((a - b).iter().all(|d| d.abs() <= 1e-6), "{a:?} {b:?}");
}

/// After every update the head is the one of the examples that are there.
#[test]
fn its_head_is_that_of_its_examples_after_every_update() {
    for kind in HeadKind::ALL {
        let place = place();
        let learner = taught(&place, kind);
        let mut lessons = LESSONS.to_vec();
        let is = |learner: &Learner, lessons: &[(&str, &str)]| {
            assert_close(&answers(learner), &fitted(&place.encoder, kind, lessons));
            // Another process finds the same, in the file.
            let again = Learner::open(&place.path, &place.encoder).unwrap();
            assert_eq!(answers(&again), answers(learner));
        };
        is(&learner, &lessons);
        let id = learner.teach("a dull actor", "actor").unwrap();
        lessons.push(("a dull actor", "actor"));
        is(&learner, &lessons);
        learner.relabel(id, Some("film")).unwrap();
        lessons[6].1 = "film";
        is(&learner, &lessons);
        assert_eq!(learner.undo().unwrap().action, Action::Relabel);
        lessons[6].1 = "actor";
        is(&learner, &lessons);
        learner.age(0.5).unwrap();
        is(&learner, &lessons);
        learner.forget(&[ExampleId(2), ExampleId(5)]).unwrap();
        lessons.remove(4);
        lessons.remove(1);
        is(&learner, &lessons);
        learner.forget_class("actor").unwrap();
        lessons.pop();
        is(&learner, &lessons);
        assert!(matches!(learner.undo(), Err(Error::Forgotten { examples: 1, .. })));
        assert_eq!(learner.examples().unwrap().len(), lessons.len());
    }
}

#[test]
fn too_little_to_learn_from_is_a_clear_error() {
    let place = place();
    let learner = Learner::create(&place.path, &place.encoder, &LearnerOptions::default()).unwrap();
    let error = learner.predict("the film").unwrap_err();
    assert!(error.to_string().contains("there are no examples"), "{error}");
    learner.teach("the film", "film").unwrap();
    let error = learner.predict("the film").unwrap_err();
    assert!(error.to_string().contains("every example has the label \"film\""), "{error}");
    let money = learner.teach("money", "money").unwrap();
    assert_eq!(learner.predict("money").unwrap().label, "money");
    // Weights that the head would have to ignore are not ignored silently.
    learner.set_weight(money, 0.5).unwrap();
    assert_eq!(learner.head().unwrap().head.kind(), HeadKind::Ridge);
    learner.set_head(HeadKind::Logistic).unwrap();
    assert!(matches!(learner.predict("money"), Err(Error::Weights { .. })));
    learner.undo().unwrap();
    assert_eq!(learner.predict("money").unwrap().label, "money");
    let error = learner.teach("a film", "two\nlines").unwrap_err();
    assert!(matches!(error, Error::Example { row: 0, .. }), "{error}");
}

#[test]
fn another_encoder_is_refused() {
    let place = place();
    taught(&place, HeadKind::Ridge);
    let other = offshoot_tests::open(&tiny::bundle(place.folder.path(), "other", 2));
    let error = Learner::open(&place.path, &other).unwrap_err();
    assert!(matches!(error, Error::OtherEncoder { .. }), "{error}");
    assert!(error.to_string().contains("tiny") && error.to_string().contains(other.digest()));
}

#[test]
fn it_remembers_prompt_and_dimensions() {
    let place = place();
    let options = LearnerOptions {
        prompt: Prompt::Text("a very ".into()),
        dimensions: std::num::NonZeroUsize::new(8),
        ..LearnerOptions::default()
    };
    let learner = Learner::create(&place.path, &place.encoder, &options).unwrap();
    learner.teach("good film", "film").unwrap();
    drop(learner);
    let learner = Learner::open(&place.path, &place.encoder).unwrap();
    let wanted = EmbedOptions {
        prompt: options.prompt,
        dimensions: options.dimensions,
        ..EmbedOptions::default()
    };
    assert_eq!(*learner.embed_options(), wanted);
    let embedded = place.encoder.embed_with(&["good film"], &wanted).unwrap();
    let example = &learner.examples().unwrap()[0];
    assert_eq!(example.embedding, embedded.vectors().row(0).to_vec());
    assert_eq!(example.text.as_deref(), Some("good film"));
}

/// The kept head is used where it is of this revision, and never trusted beyond that.
#[test]
fn a_kept_head_that_is_damaged_is_fitted_anew() {
    let place = place();
    let learner = taught(&place, HeadKind::Logistic);
    let expected = answers(&learner);
    drop(learner);
    let mut store = Store::open(&place.path).unwrap();
    let revision = store.revision().unwrap();
    let kept = store.kept_head(revision).unwrap().expect("the head was kept");
    assert_eq!(HeadFile::from_bytes(&kept).unwrap().examples, [3, 3]);
    assert!(store.keep_head(revision, &kept[..kept.len() - 1]).unwrap());
    drop(store);
    let learner = Learner::open(&place.path, &place.encoder).unwrap();
    assert_eq!(answers(&learner), expected);
    learner.set_head(HeadKind::NearestMean).unwrap();
    assert_eq!(learner.head().unwrap().head.kind(), HeadKind::NearestMean);
}

#[test]
fn two_learners_on_one_file_see_each_other() {
    let place = place();
    let first = taught(&place, HeadKind::Ridge);
    let second = Learner::open(&place.path, &place.encoder).unwrap();
    answers(&first);
    second.teach("x y z", "letters").unwrap();
    assert_eq!(first.predict("x y z").unwrap().label, "letters");
    std::thread::scope(|scope| {
        for learner in [&first, &second, &first] {
            scope.spawn(|| {
                for _ in 0..3 {
                    learner.teach("free money", "money").unwrap();
                    learner.predict("money").unwrap();
                }
            });
        }
    });
    assert_eq!(second.examples().unwrap().len(), LESSONS.len() + 1 + 9);
    assert_eq!(answers(&first), answers(&second));
}

#[test]
fn suspects_are_those_of_the_store() {
    let place = place();
    let learner = taught(&place, HeadKind::Ridge);
    let text = LESSONS[0].0;
    let copies = [Lesson::new(text, "film"), Lesson::new(text, "film"), Lesson::new(text, "money")];
    let wrong = learner.teach_many(&copies).unwrap()[2];
    let suspects = learner.suspects().unwrap();
    assert_eq!(suspects, learner.with_store(|store| store.suspects()).unwrap());
    let first = &suspects.found[0];
    assert_eq!((first.id, &*first.label, &*first.suggested), (wrong, "money", "film"));
    assert_eq!((suspects.judged, suspects.alone), (9, 0));
}

#[test]
fn the_most_uncertain_of_a_pool_are_suggested() {
    let place = place();
    let learner = taught(&place, HeadKind::Ridge);
    let pool = ["the film was great", "movie money", "win free money", "dull invoice"];
    let predictions = learner.predict_many(&pool).unwrap();
    for measure in [Uncertainty::Margin, Uncertainty::Entropy] {
        let suggested = learner.suggest(&pool, 3, measure).unwrap();
        assert_eq!(suggested.len(), 3);
        let doubt = |row: usize| {
            let mut p: Vec<f64> = predictions[row].probabilities.iter().map(|(_, p)| *p).collect();
            p.sort_by(|a, b| b.total_cmp(a));
            match measure {
                Uncertainty::Margin => 1.0 - (p[0] - p[1]),
                _ => -p.iter().map(|p| p * p.ln()).sum::<f64>() / (p.len() as f64).ln(),
            }
        };
        for pair in suggested.windows(2) {
            assert!(pair[0].uncertainty >= pair[1].uncertainty);
        }
        let least = (0..4).min_by(|&a, &b| doubt(a).total_cmp(&doubt(b))).unwrap();
        assert!(suggested.iter().all(|s| s.row != least));
        assert!(suggested.iter().all(|s| (s.uncertainty - doubt(s.row)).abs() < 1e-12));
        assert!(suggested.iter().all(|s| s.prediction == predictions[s.row]));
    }
    assert!(learner.suggest(&[] as &[&str], 3, Uncertainty::Margin).unwrap().is_empty());

    // A diverse batch takes one of the copies.
    let copies = [&pool[..], &pool[..1], &pool[..1]].concat();
    for seed in 0..4 {
        let batch = learner.suggest_diverse(&copies, 4, Uncertainty::Margin, seed).unwrap();
        let mut texts: Vec<&str> = batch.iter().map(|s| copies[s.row]).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 4);
        let of = |row: usize| if row < pool.len() { row } else { 0 };
        assert!(batch.iter().all(|s| s.prediction.label == predictions[of(s.row)].label));
    }
}

#[test]
fn the_real_encoder_is_taught() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = offshoot_tests::open(Path::new(offshoot_tests::minilm()));
    let path = folder.path().join("mail.learner");
    let learner = Learner::create(&path, &encoder, &LearnerOptions::default()).unwrap();
    for (text, label) in [
        ("the invoice is due on Friday", "work"),
        ("please review the attached contract", "work"),
        ("win a free phone, click now", "spam"),
        ("cheap pills, limited offer", "spam"),
    ] {
        learner.teach(text, label).unwrap();
    }
    assert_eq!(learner.predict("can you sign the contract by Monday?").unwrap().label, "work");
    assert_eq!(learner.predict("you won! claim your free prize").unwrap().label, "spam");
}

#[test]
fn examples_without_a_label_help_where_asked_and_are_forgotten() {
    use offshoot::adapters::semi_supervised::SemiSupervised;

    let place = place();
    let learner = taught(&place, HeadKind::Ridge);
    let alone = answers(&learner);
    let pool: Vec<String> = (0..12)
        .map(|i| {
            let words = ["film", "money", "plot", "offer", "good", "invoice", "dull"];
            format!("the {} is {} today", words[i % 7], words[(3 * i + 1) % 7])
        })
        .collect();
    let texts: Vec<&str> = pool.iter().map(String::as_str).collect();
    let ids = learner.observe(&texts, Some("inbox")).unwrap();
    assert_eq!(answers(&learner), alone, "they are kept, and used when that is asked for");

    learner.set_uses_unlabelled(true).unwrap();
    let (names, labels): (Vec<_>, Vec<_>) = LESSONS.iter().copied().unzip();
    let x = place.encoder.embed(&names).unwrap();
    let (classes, y) = Classes::from_labels(&labels).unwrap();
    let base = HeadKind::Ridge.fit(x.vectors(), &y, classes).unwrap();
    let unlabelled = place.encoder.embed(&texts).unwrap();
    let head =
        SemiSupervised::default().fit_from(base, x.vectors(), &y, unlabelled.vectors()).unwrap();
    let expected = probe(&place.encoder, &|x| head.predict_proba(x).unwrap());
    let smoothed = answers(&learner);
    assert!((&smoothed - &expected).iter().all(|d| d.abs() < 1e-6), "{smoothed} {expected}");
    assert!((&smoothed - &alone).iter().any(|d| d.abs() > 1e-3));
    // The head that is exported is that of the labels alone.
    let file = learner.head().unwrap();
    assert_eq!(probe(&place.encoder, &|x| file.head.predict_proba(x).unwrap()), alone);
    drop(learner);

    // Kept, and other processes see it.
    let learner = Learner::open(&place.path, &place.encoder).unwrap();
    assert!(learner.uses_unlabelled().unwrap());
    assert_eq!(answers(&learner), smoothed);
    learner.forget(&ids[..1]).unwrap();
    assert!((&answers(&learner) - &smoothed).iter().any(|d| d.abs() > 1e-6));
    assert_eq!(learner.forget_source("inbox").unwrap(), texts.len() - 1);
    assert_eq!(answers(&learner), alone);
    let bytes = std::fs::read(&place.path).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(texts.iter().all(|text| !holds(text)) && holds(LESSONS[0].0));
}
