//! Runs that are stopped or killed and resumed end in the bundle of one that was not.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use offshoot_models::Error;
use offshoot_models::pretrain::{
    Event, METRICS, OptimizerKind, PretrainOptions, Recompute, pretrain,
};
use offshoot_models::random::SplitMix64;

use super::{data, options, run};

const STEPS: u64 = 8;

/// An objective with a teacher, whose average is part of the state; saved at every step, and the
/// best state beside it.
fn resumable(output: &Path) -> PretrainOptions {
    PretrainOptions {
        checkpoint_seconds: 0,
        name: Some("tiny".into()),
        quality_every: Some(1),
        patience: Some(3),
        ..options("self-distillation", output, STEPS)
    }
}

#[test]
fn a_run_that_is_stopped_and_resumed_ends_in_the_same_bytes() {
    let usual = (OptimizerKind::AdamW, Recompute::Nothing);
    for (file, objective, accumulate, (optimizer, recompute)) in [
        ("ts", "self-distillation", 1, usual.clone()),
        ("txt", "simcse", 1, usual.clone()),
        ("ts", "masked-patches", 3, usual),
        ("ts", "simclr", 1, (OptimizerKind::Sgd, Recompute::Cheap)),
        ("txt", "masked-token", 1, (OptimizerKind::Lars, Recompute::Blocks)),
        ("txt", "simcse", 2, (OptimizerKind::Lamb, Recompute::Blocks)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let examples = data::opened(file, folder.path());
        let whole = PretrainOptions {
            checkpoint_seconds: 60,
            accumulate,
            optimizer,
            recompute,
            name: Some("tiny".into()),
            ..options(objective, &folder.path().join("whole.offshoot"), STEPS)
        };
        run(&examples, &whole).unwrap();

        let stop = Arc::new(AtomicBool::new(false));
        let parts = PretrainOptions {
            output: folder.path().join("parts.offshoot"),
            stop: Some(stop.clone()),
            ..whole.clone()
        };
        let mut begun_at = Vec::new();
        for stop_after in [1, 5, u64::MAX] {
            stop.store(false, Ordering::Relaxed);
            let result = pretrain(&examples, &parts, &mut |event| match event {
                Event::Begins { done, .. } => begun_at.push(done),
                Event::Step { record, .. } if record.step == stop_after => {
                    stop.store(true, Ordering::Relaxed);
                }
                _ => {}
            });
            match result {
                Err(Error::Interrupted) => assert!(!parts.output.exists()),
                other => assert_eq!((other.unwrap().steps, stop_after), (STEPS, u64::MAX)),
            }
        }
        assert_eq!(begun_at, [0, 1, 5]);
        let read = |options: &PretrainOptions| std::fs::read(&options.output).unwrap();
        assert!(read(&whole) == read(&parts), "{file}");
        let metrics = |options: &PretrainOptions| {
            std::fs::read_to_string(options.run_folder().join(METRICS)).unwrap()
        };
        assert_eq!(metrics(&whole), metrics(&parts));

        // A run that has ended writes its bundle again.
        std::fs::remove_file(&parts.output).unwrap();
        run(&examples, &parts).unwrap();
        assert!(read(&whole) == read(&parts), "{file}");
    }
}

const FOLDER: &str = "OFFSHOOT_TEST_PRETRAIN";
const KILLS: &str = "OFFSHOOT_KILLS";

/// SIGKILL at random moments. `OFFSHOOT_KILLS=100` kills as often as it is told.
#[test]
fn a_run_that_is_killed_and_resumed_ends_in_the_same_bytes() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        run(&data::opened("ts", folder), &resumable(&folder.join("killed.offshoot"))).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("ts", folder.path());
    let whole = resumable(&folder.path().join("whole.offshoot"));
    run(&examples, &whole).unwrap();
    let killed = resumable(&folder.path().join("killed.offshoot"));

    let child = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "resuming::a_run_that_is_killed_and_resumed_ends_in_the_same_bytes"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let kills: u64 = std::env::var(KILLS).map_or(6, |kills| kills.parse().unwrap());
    let mut random = SplitMix64::new(9);
    // As long as a whole life takes, the bundle included.
    let mut usual = Duration::from_secs(2);
    for _ in 0..kills {
        let (start, mut child) = (Instant::now(), child());
        std::thread::sleep(usual.mul_f32(random.unit()));
        match child.try_wait().unwrap() {
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            Some(status) => {
                assert!(status.success());
                assert!(
                    std::fs::read(&killed.output).unwrap() == std::fs::read(&whole.output).unwrap()
                );
                std::fs::remove_dir_all(killed.run_folder()).unwrap();
                std::fs::remove_file(&killed.output).unwrap();
                usual = start.elapsed().min(usual);
            }
        }
    }
    assert!(child().wait().unwrap().success());
    assert!(std::fs::read(&killed.output).unwrap() == std::fs::read(&whole.output).unwrap());
    // No half-written file is left.
    let mut names: Vec<String> = std::fs::read_dir(killed.run_folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with("events"))
        .collect();
    names.sort();
    assert_eq!(names, ["best.safetensors", "checkpoint.safetensors", "lock", METRICS, "run.json"]);
}

#[test]
fn a_folder_with_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("ts", folder.path());
    let first = options("order", &folder.path().join("x.offshoot"), 2);
    run(&examples, &first).unwrap();
    std::fs::remove_file(&first.output).unwrap();
    let seed = PretrainOptions { seed: 4, ..first.clone() };
    let rate = PretrainOptions { learning_rate: 0.5, ..first.clone() };
    let other = options("simclr", &first.output, 2);
    let optimizer = PretrainOptions { optimizer: OptimizerKind::Lamb, ..first.clone() };
    for changed in [seed, rate, other, optimizer] {
        let message = super::refusal(&examples, &changed);
        assert!(message.contains("holds a run with other options; remove it"), "{message}");
    }
    let images = data::opened("fasta", folder.path());
    let message = super::refusal(&images, &first);
    assert!(message.contains("holds a run with other data; remove it"), "{message}");
    // Threads that make batches and the time between checkpoints change nothing.
    run(&examples, &PretrainOptions { loaders: 2, checkpoint_seconds: 1, ..first }).unwrap();
}

#[test]
fn an_encoder_is_the_same_whatever_is_computed_again() {
    for (file, objective) in [("ts", "simclr"), ("txt", "masked-token"), ("txt", "simcse")] {
        let folder = tempfile::tempdir().unwrap();
        let examples = data::opened(file, folder.path());
        let weights = |recompute: Recompute| {
            let output = folder.path().join(format!("{recompute:?}.offshoot"));
            let options = PretrainOptions {
                recompute,
                name: Some("tiny".into()),
                ..options(objective, &output, STEPS)
            };
            run(&examples, &options).unwrap();
            std::fs::read(output).unwrap()
        };
        let expected = weights(Recompute::Nothing);
        for recompute in [Recompute::Cheap, Recompute::Blocks] {
            assert!(weights(recompute.clone()) == expected, "{file}, {objective}, {recompute:?}");
        }
    }
}

#[test]
fn two_runs_at_once_in_a_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let examples = data::opened("ts", folder.path());
    let first = options("order", &folder.path().join("x.offshoot"), 2);
    let mut message = String::new();
    pretrain(&examples, &first, &mut |event| {
        if let Event::Begins { .. } = event {
            message = super::refusal(&examples, &first);
        }
    })
    .unwrap();
    assert!(message.contains("another process is at work in"), "{message}");
    assert!(first.output.exists());
}
