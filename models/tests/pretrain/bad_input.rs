//! Data and options that do not fit, or hardly.

use std::sync::Arc;

use ndarray::Array2;
use offshoot::Image;
use offshoot_models::data::{Dataset, Example, Kind};
use offshoot_models::objectives::named;
use offshoot_models::pretrain::{Event, TokenizerKind, pretrain};

use super::data::{self, Memory};
use super::learning::VIEWS;
use super::{open, options, refusal, run};

fn image(n: usize) -> Result<Example, String> {
    let pixels = (0..144).map(|at| (at * (n % 7 + 1) % 256) as u8).collect();
    Ok(Example::Image(Image::new(12, 12, 1, pixels).unwrap()))
}

fn signal(n: usize, length: usize) -> Result<Example, String> {
    let sample = |(c, t): (usize, usize)| ((t * (n % 5 + 1) + c) as f32 / 3.0).sin();
    Ok(Example::Signal(Array2::from_shape_fn((2, length), sample)))
}

#[test]
fn what_cannot_be_learned_from_is_refused_with_a_reason_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let images: Arc<dyn Dataset> = Memory::of((0..20).map(image).collect());
    let texts = Memory::texts((0..20).map(|n| format!("text number {n}")));
    let one = Memory::texts(["only one"]);
    let half = Memory::of(
        (0..20).map(|n| if n % 2 == 0 { image(n) } else { Err("torn".into()) }).collect(),
    );
    let empty = Memory::of((0..20).map(|n| signal(n, 0)).collect());
    for (data, objective, reason) in [
        (&one, "masked-token", "1 examples are too few to learn from; give at least 4"),
        (&images, "masked-token", "masked-token cannot train a shift-mixer: it is for tokens"),
        (&images, "order", "it is for signals"),
        (&texts, "rotation", "it is for images"),
        (&texts, "denoising", "it is for images and signals"),
        (&images, "simcse", "try simclr"),
        (&images, "triplet", "triplet reads labels and the data has none; name their column"),
        (&texts, "supervised-contrastive", "reads labels and the data has none"),
        (&half, "simclr", "50 % of the data cannot be read; the first: memory, example 1: torn"),
        (&empty, "simclr", "no example"),
    ] {
        let options = options(objective, &folder.path().join("none.offshoot"), 2);
        let message = refusal(data, &options);
        assert!(message.contains(reason), "{message}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{message}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = Memory::texts((0..20).map(|n| format!("text number {n}")));
    let usual = options("masked-token", &folder.path().join("none.offshoot"), 2);
    let with = |change: &dyn Fn(&mut offshoot_models::pretrain::PretrainOptions)| {
        let mut changed = usual.clone();
        change(&mut changed);
        refusal(&data, &changed)
    };
    assert!(with(&|o| o.learning_rate = f32::NAN).contains("the learning rate is NaN"));
    assert!(with(&|o| o.batch = 1).contains("at least 2 examples"));
    assert!(with(&|o| o.accumulate = 0).contains("at least one batch"));
    let teacher = with(&|o| {
        o.accumulate = 2;
        o.objectives[0].objective = named("self-distillation").unwrap().into();
    });
    assert!(teacher.contains("self-distillation reads an average"), "{teacher}");
    assert!(with(&|o| o.warm_up = 1.0).contains("the warm-up is 1"));
    assert!(with(&|o| o.vocabulary = 3).contains("32 tokens in all"));
    assert!(with(&|o| o.objectives[0].weight = 0.0).contains("the weight of masked-token is 0"));
    assert!(with(&|o| o.objectives.clear()).contains("a run needs an objective"));
    let twice = with(&|o| o.objectives.push(o.objectives[0].clone()));
    assert!(twice.contains("masked-token is asked for twice"), "{twice}");
    assert!(with(&|o| o.average_decay = Some(1.5)).contains("the average's decay is 1.5"));
    assert!(with(&|o| o.weight_decay = -1.0).contains("the weight decay is -1"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options("order", &folder.path().join("none.offshoot"), 20);
    options.learning_rate = 1e30;
    let message = refusal(&data::opened("ts", folder.path()), &options);
    assert!(message.contains("lower the learning rate"), "{message}");
}

#[test]
fn examples_that_cannot_be_read_are_replaced_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let torn = |n: usize| if n % 16 == 3 { Err("torn".into()) } else { image(n) };
    let data = Memory::of((0..64).map(torn).collect());
    let done = run(&data, &options("simclr", &folder.path().join("images"), 8)).unwrap();
    assert!(done.unreadable > 0);

    // Signals without samples, of other channels, or with values missing.
    let odd = |n: usize| match n % 16 {
        3 => signal(n, 0),
        7 => Ok(Example::Signal(Array2::ones((3, 24)))),
        11 => Ok(Example::Signal(Array2::from_elem((2, 24), f32::NAN))),
        _ => signal(n, 20 + n % 9),
    };
    let data = Memory::of((0..64).map(odd).collect());
    let done = run(&data, &options("simclr", &folder.path().join("signals"), 8)).unwrap();
    assert!(done.unreadable > 0);
}

#[test]
fn few_examples_and_a_large_batch_are_enough_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = Memory::of((0..5).map(image).collect());
    let mut options = options("vicreg", &folder.path().join("few.offshoot"), 2);
    options.batch = 1000;
    // Of a single example that is held out nothing can be said.
    pretrain(&data, &options, &mut |event| {
        if let Event::Collapse { reason, .. } = event {
            panic!("{reason}");
        }
    })
    .unwrap();
    open(&options.output);
}

#[test]
fn a_small_corpus_has_fewer_tokens_than_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let data = Memory::texts((0..20).map(|n| format!("the text of number {n}")));
    for kind in [
        TokenizerKind::WordPiece,
        TokenizerKind::Bpe,
        TokenizerKind::Unigram,
        TokenizerKind::Residues,
    ] {
        let mut options = options("masked-token", &folder.path().join(format!("{kind:?}")), 2);
        options.vocabulary = 8000;
        options.tokenizer = kind;
        run(&data, &options).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        let found = open(&options.output).embed(&["the text of number 5", ""]).unwrap();
        assert!(found.vectors().iter().all(|v| v.is_finite()), "{kind:?}");
    }
}

#[test]
fn empty_and_very_long_texts_run() {
    let folder = tempfile::tempdir().unwrap();
    let long = ["many words ".repeat(100_000), "x".repeat(1_000_000), "\u{1f98e}".repeat(250_000)];
    let usual = (0..17).map(|n| format!("the text of number {n}"));
    let data = Memory::texts(usual.chain(long).chain(vec![String::new(); 8]));
    for objective in ["masked-token", "autoregressive", "replaced-token", "multiple-negatives"] {
        let options = options(objective, &folder.path().join(objective), 4);
        run(&data, &options).unwrap_or_else(|error| panic!("{objective}: {error}"));
    }
    // Nothing but empty texts.
    let data = Memory::texts(vec![""; 20]);
    for kind in [TokenizerKind::WordPiece, TokenizerKind::Unigram, TokenizerKind::Residues] {
        let mut options = options("masked-token", &folder.path().join(format!("{kind:?}")), 2);
        options.tokenizer = kind;
        let message = refusal(&data, &options);
        assert!(message.contains("no text has a word"), "{message}");
    }
}

#[test]
fn examples_that_are_all_the_same_do_not_end_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let black = Image::new(12, 12, 1, vec![0; 144]).unwrap();
    let examples: Vec<Result<Example, String>> = vec![Ok(Example::Image(black)); 16];
    let labels = Some(vec!["all".to_owned(); 16]);
    let data: Arc<dyn Dataset> = Arc::new(Memory { kind: Kind::Image, examples, labels });
    for objective in [&VIEWS[..], &["denoising", "masked-patches", "rotation"]].concat() {
        let options = options(objective, &folder.path().join(objective), 3);
        run(&data, &options).unwrap_or_else(|error| panic!("{objective}: {error}"));
    }
}
