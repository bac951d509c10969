//! Figures of examples that are not learned from, and runs that end by them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use offshoot_models::Error;
use offshoot_models::data::{Dataset, Example, split};
use offshoot_models::pretrain::{
    Event, METRICS, PretrainOptions, Pretrained, Start, StepRecord, TokenizerKind, pretrain,
};

use super::{data, open, options, run};

/// A run, its records, and the last step and the kept one where it ended early.
fn told(
    examples: &Arc<dyn Dataset>,
    options: &PretrainOptions,
) -> (Pretrained, Vec<StepRecord>, Option<[u64; 2]>) {
    let (mut records, mut stops) = (Vec::new(), None);
    let done = pretrain(examples, options, &mut |event| match event {
        Event::Step { record, .. } => records.push(record),
        Event::Stops { step, kept } => stops = Some([step, kept]),
        _ => {}
    });
    (done.unwrap(), records, stops)
}

fn lines(options: &PretrainOptions) -> Vec<serde_json::Value> {
    let metrics = std::fs::read_to_string(options.run_folder().join(METRICS)).unwrap();
    metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn perplexities_are_told_beside_those_of_counting_and_kept_in_the_bundle() {
    const STEPS: u64 = 60;
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("fasta", folder.path());
    for objective in ["masked-token", "autoregressive", "replaced-token"] {
        let mut options = options(objective, &folder.path().join(objective), STEPS);
        (options.batch, options.learning_rate) = (16, 3e-3);
        options.tokenizer = TokenizerKind::Residues;
        options.quality_every = Some(STEPS / 2);
        options.average_decay = (objective == "masked-token").then_some(0.9);
        let (done, records, stops) = told(&examples, &options);
        assert!(stops.is_none());
        let found: Vec<_> = records.iter().filter_map(|record| record.prediction).collect();
        assert_eq!(found.len(), 2, "{objective}");
        assert_eq!(done.prediction, Some(found[1]));
        assert!(found[1].perplexity < found[0].perplexity, "{objective}: {found:?}");
        // A family has 6 of the residues, all equally frequent: less is not to be known.
        assert!((5.0..22.0).contains(&found[1].perplexity), "{objective}: {found:?}");
        assert!(found[1].trigram < found[1].unigram, "{objective}: {found:?}");

        let pretraining = open(&options.output).manifest().provenance.pretraining.clone().unwrap();
        let figure = |name: &str| pretraining.figures[name];
        assert_eq!(figure("perplexity"), found[1].perplexity);
        assert_eq!(figure("perplexity_of_unigrams"), found[1].unigram);
        assert_eq!(figure("perplexity_of_trigrams"), found[1].trigram);
        assert_eq!(figure("predicted_tokens"), found[1].tokens as f64);
        assert_eq!(figure("effective_rank"), done.quality.unwrap().effective_rank);
        let last = &lines(&options)[STEPS as usize - 1]["prediction"];
        assert_eq!(last["perplexity"].as_f64().unwrap(), found[1].perplexity);
        let mut events =
            std::fs::read_dir(options.run_folder()).unwrap().map(|e| e.unwrap().path());
        let events = events.find(|path| path.to_string_lossy().contains("tfevents")).unwrap();
        let events = std::fs::read(events).unwrap();
        for tag in ["prediction/perplexity", "prediction/unigram", "prediction/trigram"] {
            assert!(events.windows(tag.len()).any(|part| part == tag.as_bytes()), "{tag}");
        }

        if objective == "autoregressive" {
            // Counted here from the residues themselves, every one of which is asked for.
            let share = 16.0 / examples.len() as f32;
            let (rest, held_out) = split(&examples, share, options.seed).unwrap();
            let residues = |of: &dyn Dataset| -> String {
                let all = (0..of.len()).map(|index| match of.get(index).unwrap() {
                    Example::Text(text) => text,
                    _ => unreachable!(),
                });
                all.collect()
            };
            let (known, asked) = (residues(&rest), residues(&held_out));
            let nats = asked.chars().map(|one| {
                let seen = known.chars().filter(|&other| other == one).count();
                -((seen as f64 + 1.0) / (known.len() as f64 + 26.0)).ln()
            });
            let expected = (nats.sum::<f64>() / asked.len() as f64).exp();
            assert_eq!(found[1].tokens, asked.len() as u64);
            assert!((found[1].unigram - expected).abs() < 1e-9, "{found:?}, not {expected}");
        }
    }
}

#[test]
fn what_is_always_the_same_is_predicted_with_certainty() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::Memory::texts((0..60).map(|_| "the dog runs over a hill"));
    let mut options = options("masked-token", &folder.path().join("x"), 60);
    options.learning_rate = 5e-3;
    let found = run(&examples, &options).unwrap().prediction.unwrap();
    // Of 54 texts of six words each word makes a sixth; its pieces are tokens that never come.
    let json = std::fs::read(options.run_folder().join("tokenizer.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let kinds = json["model"]["vocab"].as_object().unwrap().len() - 5;
    let expected = (54.0 * 6.0 + kinds as f64) / (54.0 + 1.0);
    assert!((found.unigram - expected).abs() < 1e-9, "{found:?}, not {expected}");
    // There is no doubt after others.
    assert!(found.trigram < 1.1 && found.perplexity < 1.5, "{found:?}");
}

#[test]
fn objectives_without_tokens_tell_no_perplexity() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("ts", folder.path());
    let options = options("order", &folder.path().join("x"), 2);
    assert!(run(&examples, &options).unwrap().prediction.is_none());
    let line = lines(&options).pop().unwrap();
    assert!(line.get("prediction").is_none() && line.get("held_out_loss").is_none(), "{line}");
}

#[test]
fn a_run_that_learns_nothing_ends_when_its_patience_does() {
    let folder = tempfile::tempdir().unwrap();
    for (file, objective) in
        [("ts", "simclr"), ("txt", "masked-token"), ("idx", "self-distillation")]
    {
        let examples = data::opened(file, folder.path());
        let mut options = options(objective, &folder.path().join(objective), 40);
        (options.patience, options.quality_every) = (Some(2), Some(2));
        // The weights stay as they are, to the last bit, and so does the loss.
        options.learning_rate = 1e-30;
        let (done, records, stops) = told(&examples, &options);
        assert_eq!((stops, done.steps, records.len()), (Some([6, 2]), 2, 6), "{objective}");
        let losses: Vec<f32> = records.iter().filter_map(|record| record.held_out_loss).collect();
        assert!(losses.len() == 3 && losses[1..] == [losses[0]; 2], "{objective}: {losses:?}");
        let pretraining = open(&options.output).manifest().provenance.pretraining.clone().unwrap();
        assert_eq!((pretraining.steps, pretraining.curve.len()), (2, 6));
        let told =
            ["patience", "steps_planned", "steps_taken"].map(|o| &pretraining.options[o][..]);
        assert_eq!(told, ["2", "40", "6"]);
        assert!((pretraining.figures["held_out_loss"] - f64::from(losses[0])).abs() < 1e-6);
    }
}

/// A run that soon gets worse, so fast does it learn.
fn hasty(output: &Path, patience: u64) -> PretrainOptions {
    PretrainOptions {
        patience: Some(patience),
        quality_every: Some(1),
        learning_rate: 0.2,
        warm_up: 0.0,
        name: Some("hasty".into()),
        ..options("simclr", output, 12)
    }
}

#[test]
fn the_weights_with_the_lowest_loss_are_the_ones_that_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("ts", folder.path());
    let first = hasty(&folder.path().join("first"), 100);
    let (done, records, stops) = told(&examples, &first);
    // The patience is longer than the run, and the best weights are kept all the same.
    assert!(stops.is_none());
    let losses: Vec<f32> = records.iter().map(|record| record.held_out_loss.unwrap()).collect();
    let lowest = losses.iter().copied().fold(f32::INFINITY, f32::min);
    let kept = losses.iter().position(|&loss| loss == lowest).unwrap();
    assert!(kept < 11, "{losses:?}");
    assert_eq!(done.steps, kept as u64 + 1);
    assert_eq!(done.quality, records[kept].quality);

    // The bundle's embeddings are those of that step.
    let mut again = options("simclr", &folder.path().join("again"), 1);
    again.start = Start::Init { bundle: first.output };
    again.learning_rate = 1e-30;
    let found = run(&examples, &again).unwrap().quality.unwrap();
    let (expected, last) = (done.quality.unwrap(), records[11].quality.unwrap());
    let near = |a: f64, b: f64| (a - b).abs() < 1e-4 * b.abs();
    assert!(near(found.effective_rank, expected.effective_rank), "{found:?}, not {expected:?}");
    assert!(near(found.uniformity, expected.uniformity), "{found:?}, not {expected:?}");
    assert!(!near(last.effective_rank, expected.effective_rank), "{last:?}");
}

#[test]
fn a_run_that_ends_early_and_is_stopped_after_every_step_ends_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("ts", folder.path());
    let whole = hasty(&folder.path().join("whole"), 2);
    let (done, records, stops) = told(&examples, &whole);
    let [last, kept] = stops.unwrap();
    assert!((3..12).contains(&last) && kept == last - 2, "{stops:?}");
    assert_eq!((done.steps, records.len() as u64), (kept, last));

    let stop = Arc::new(AtomicBool::new(false));
    let parts = PretrainOptions {
        output: folder.path().join("parts"),
        stop: Some(stop.clone()),
        ..whole.clone()
    };
    let best = parts.run_folder().join("best.safetensors");
    let mut calls = 0;
    let again = loop {
        calls += 1;
        stop.store(false, Ordering::Relaxed);
        let (mut lowest, mut step) = (f32::INFINITY, 0);
        let result = pretrain(&examples, &parts, &mut |event| {
            if let Event::Step { record, .. } = event {
                stop.store(true, Ordering::Relaxed);
                (lowest, step) = (record.held_out_loss.unwrap(), record.step);
            }
        });
        match result {
            Err(Error::Interrupted) => {
                let before = records[..step as usize - 1].iter().map(|r| r.held_out_loss.unwrap());
                // As if it was killed between the checkpoint and this file.
                if step != 1 && lowest < before.fold(f32::INFINITY, f32::min) {
                    std::fs::remove_file(&best).unwrap();
                }
            }
            other => break other.unwrap(),
        }
    };
    assert_eq!((again.steps, calls), (kept, last));
    let bytes = |options: &PretrainOptions| std::fs::read(&options.output).unwrap();
    assert!(bytes(&whole) == bytes(&parts));
    assert_eq!(lines(&whole), lines(&parts));

    assert!(!parts.run_folder().join(".partial.best.safetensors").exists());

    // A run that has ended writes its bundle again, and says what it lacks.
    std::fs::remove_file(&parts.output).unwrap();
    stop.store(false, Ordering::Relaxed);
    assert_eq!(run(&examples, &parts).unwrap().steps, kept);
    assert!(bytes(&whole) == bytes(&parts));
    std::fs::remove_file(&parts.output).unwrap();
    std::fs::remove_file(&best).unwrap();
    let message = super::refusal(&examples, &parts);
    assert!(message.contains("best.safetensors is missing; remove the folder"), "{message}");
}

#[test]
fn patience_needs_examples_to_watch() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::Memory::texts((0..12).map(|n| format!("the dog runs {n}")));
    let mut options = options("masked-token", &folder.path().join("x"), 4);
    options.patience = Some(1);
    let message = super::refusal(&examples, &options);
    assert!(message.contains("too few to watch a loss; give at least 20"), "{message}");
    options.patience = Some(0);
    assert!(super::refusal(&examples, &options).contains("at least one figure"));
}
