//! Files of training: programs and checkpoints that are whole, damaged, foreign or
//! interrupted.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use ndarray::Array2;
use offshoot::Error;
use offshoot::trainer::{Checkpoint, Program, RestoreOptions, StateKind, Trainer, TrainerOptions};
use offshoot_export::graph::Tensor;
use offshoot_export::program::ProgramBuilder;
use offshoot_tests::process::{Part, role, say};
use offshoot_tests::training::regression;

fn options() -> TrainerOptions {
    offshoot_tests::onnx_runtime();
    TrainerOptions::new().threads(NonZeroUsize::new(2))
}

/// The batch of a step, a function of its number.
fn batch(number: u64) -> (Array2<f32>, Array2<f32>) {
    let rows = 3 + (number % 4) as usize;
    let value =
        |i: usize, j: usize| ((number as usize * 7 + i * 3 + j * 5) % 11) as f32 * 0.2 - 1.0;
    let x = Array2::from_shape_fn((rows, 2), |(i, j)| value(i, j));
    let y = Array2::from_shape_fn((rows, 1), |(i, _)| 2.0 * x[[i, 0]] - x[[i, 1]] + 0.3);
    (x, y)
}

fn train(trainer: &mut Trainer, steps: u64) -> Vec<f32> {
    (0..steps)
        .map(|_| {
            let (x, y) = batch(trainer.steps());
            let inputs = [("x", x.into()), ("y", y.into()), ("rate", 0.05f32.into())];
            trainer.step(&inputs).unwrap().loss().unwrap()
        })
        .collect()
}

fn state(trainer: &Trainer) -> Vec<(String, Vec<u8>)> {
    let names: Vec<String> = trainer.describe().map(|(name, ..)| name.to_owned()).collect();
    names.into_iter().map(|name| (name.clone(), trainer.state(&name).unwrap().to_bytes())).collect()
}

fn write(folder: &Path, builder: &ProgramBuilder) -> std::path::PathBuf {
    let path = folder.join("regression.training");
    builder.write(&path, true).unwrap();
    path
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let program = write(folder.path(), &regression());
    let checkpoint = folder.path().join("seven.safetensors");
    let mut straight = Trainer::open(&program, &options()).unwrap();
    let losses = train(&mut straight, 12);

    let mut first = Trainer::open(&program, &options()).unwrap();
    assert_eq!(train(&mut first, 7), losses[..7]);
    first.save(&checkpoint, &[("epoch", "3"), ("random", "1:2:3")]).unwrap();
    drop(first);

    let mut second = Trainer::open(&program, &options()).unwrap();
    train(&mut second, 3);
    let restored = second.restore(&checkpoint).unwrap();
    assert_eq!(restored.steps, 7);
    assert_eq!(second.steps(), 7);
    assert_eq!(restored.metadata["epoch"], "3");
    assert_eq!(restored.metadata["random"], "1:2:3");
    assert_eq!(restored.metadata.len(), 2);
    assert_eq!(train(&mut second, 5), losses[7..]);
    assert_eq!(state(&second), state(&straight));
    assert_eq!(Checkpoint::read(&checkpoint).unwrap(), restored);
    assert_eq!(restored.program, Program::open(&program).unwrap().digest());
}

#[test]
fn a_program_in_memory_and_in_its_file_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let builder = regression();
    let path = write(folder.path(), &builder);
    let in_memory = builder.build().unwrap();
    let on_disk = Program::open(&path).unwrap();
    assert_eq!(in_memory.digest(), on_disk.digest());
    assert_eq!((on_disk.parameters(), on_disk.name.as_str()), (3, "regression"));
    let mut trainers =
        [in_memory, on_disk].map(|program| Trainer::new(&program, &options()).unwrap());
    let losses = trainers.each_mut().map(|trainer| train(trainer, 4));
    assert_eq!(losses[0], losses[1]);
    assert_eq!(state(&trainers[0]), state(&trainers[1]));
    // The same program gives the same bytes.
    let bytes = fs::read(&path).unwrap();
    builder.write(&path, true).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert!(builder.write(&path, false).unwrap_err().to_string().contains("exists already"));
}

#[test]
fn other_tools_read_checkpoints_and_saving_twice_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(&regression().build().unwrap(), &options()).unwrap();
    train(&mut trainer, 5);
    let paths = ["a", "b"].map(|name| folder.path().join(name));
    for path in &paths {
        trainer.save(path, &[("b", "2"), ("a", "1"), ("c", "3")]).unwrap();
    }
    let bytes = fs::read(&paths[0]).unwrap();
    assert_eq!(bytes, fs::read(&paths[1]).unwrap());
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (name, expected) in state(&trainer) {
        assert_eq!(read.tensor(&name).unwrap().data(), expected);
    }
    // Nothing else is left in the folder.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let taken = trainer.save(&paths[0], &[("offshoot.steps", "9")]).unwrap_err().to_string();
    assert!(taken.contains("offshoot.steps"), "{taken}");
    assert!(trainer.save(folder.path(), &[]).is_err());
    assert!(trainer.save(folder.path().join("none/x"), &[]).is_err());
}

#[test]
fn checkpoints_of_other_programs_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.safetensors");
    let mut trainer = Trainer::new(&regression().build().unwrap(), &options()).unwrap();
    train(&mut trainer, 3);
    let before = state(&trainer);
    let mut refused = |path: &Path, options: RestoreOptions, part: &str| {
        let error = trainer.restore_with(path, options).unwrap_err();
        assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(state(&trainer), before);
        assert_eq!(trainer.steps(), 3);
    };
    let any = RestoreOptions::new().other_program(true);

    // The same state and other graphs: another digest.
    let mut program = regression().build().unwrap();
    program.procedures.retain(|procedure| procedure.name != "accumulate");
    program.name = "other".into();
    let mut other = Trainer::new(&program, &options()).unwrap();
    train(&mut other, 5);
    other.save(&path, &[]).unwrap();
    refused(&path, RestoreOptions::new(), "belongs to the program `other`");

    // One tensor more, and one less.
    let extra = folder.path().join("extra.safetensors");
    let mut builder = regression();
    builder.state("extra", Tensor::from_f32(&[1], &[1.0]), StateKind::Average).unwrap();
    Trainer::new(&builder.build().unwrap(), &options()).unwrap().save(&extra, &[]).unwrap();
    refused(&extra, any, "a tensor `extra`, which the program does not know");
    let mut fuller = Trainer::new(&builder.build().unwrap(), &options()).unwrap();
    let error = fuller.restore_with(&path, any).unwrap_err().to_string();
    assert!(error.contains("no tensor `extra`"), "{error}");

    // Not a checkpoint at all.
    let plain = folder.path().join("plain.safetensors");
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]);
    fs::write(&plain, safetensors::serialize([("w", view.unwrap())], None).unwrap()).unwrap();
    refused(&plain, any, "it is no checkpoint");
    fs::write(&plain, b"short").unwrap();
    refused(&plain, any, "shorter than a safetensors header");
    assert!(matches!(trainer.restore(folder.path().join("none")), Err(Error::Io { .. })));

    // Allowed when all names, types and shapes are the same.
    assert_eq!(trainer.restore_with(&path, any).unwrap().program_name, "other");
    assert_eq!(state(&trainer), state(&other));
    assert_eq!(trainer.steps(), 5);
}

#[test]
fn another_seed_of_the_same_program_restores() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.safetensors");
    let mut program = regression().build().unwrap();
    program.state[0].initial = offshoot::trainer::Initial::Zeros;
    let mut other = Trainer::new(&program, &options()).unwrap();
    train(&mut other, 2);
    other.save(&path, &[]).unwrap();
    let mut trainer = Trainer::new(&regression().build().unwrap(), &options()).unwrap();
    trainer.restore(&path).unwrap();
    assert_eq!(state(&trainer), state(&other));
}

#[test]
fn a_damaged_checkpoint_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut trainer = Trainer::new(&regression().build().unwrap(), &options()).unwrap();
    train(&mut trainer, 3);
    trainer.save(&path, &[]).unwrap();
    let good = state(&trainer);
    let whole = fs::read(&path).unwrap();
    train(&mut trainer, 1);
    let before = state(&trainer);
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for at in header..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = trainer.restore(&path).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
        assert_eq!(state(&trainer), before);
    }
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(trainer.restore(&path), Err(Error::Checkpoint { .. })), "{length}");
    }
    // A changed header is refused or says the same state.
    for at in 0..header {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(&path, bytes).unwrap();
        match trainer.restore(&path) {
            Err(_) => assert_eq!(state(&trainer), before),
            Ok(_) => {
                assert_eq!(state(&trainer), good);
                fs::write(&path, &whole).unwrap();
                trainer.restore(&path).unwrap();
                train(&mut trainer, 1);
                assert_eq!(state(&trainer), before);
            }
        }
    }
}

#[test]
fn a_damaged_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &regression());
    let whole = fs::read(&path).unwrap();
    let digest = Program::open(&path).unwrap().digest();
    for part in 0..40 {
        fs::write(&path, &whole[..whole.len() * part / 40]).unwrap();
        let error = Program::open(&path).unwrap_err();
        assert!(matches!(error, Error::ProgramFile { .. }), "{error}");
        assert!(error.to_string().contains("regression.training"), "{error}");
    }
    let mut refused = 0;
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        match Program::open(&path) {
            Ok(program) if program.digest() == digest => {}
            // What the manifest says is not covered by a digest: it is the identity.
            Ok(_) => {}
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 10, "{refused}");
    for bytes in [&b""[..], b"not a zip", &[0; 10_000]] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Program::open(&path), Err(Error::ProgramFile { .. })));
    }
    assert!(matches!(Program::open(folder.path()), Err(Error::ProgramFile { .. })));
}

/// Programs that a stranger may have made: each changes one thing of a good one.
#[test]
fn hostile_programs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &regression());
    let mut archive = zip::ZipArchive::new(fs::File::open(&path).unwrap()).unwrap();
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        entries.push((entry.name().unwrap().into_owned(), bytes));
    }
    let (_, manifest) = entries.iter().find(|(name, _)| name == "manifest.json").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let refused = |change: &dyn Fn(&mut serde_json::Value), part: &str| {
        let mut manifest = manifest.clone();
        change(&mut manifest);
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for (name, bytes) in &entries {
            archive.start_file(name.as_str(), stored).unwrap();
            let bytes = match name == "manifest.json" {
                true => serde_json::to_vec(&manifest).unwrap(),
                false => bytes.clone(),
            };
            std::io::Write::write_all(&mut archive, &bytes).unwrap();
        }
        archive.finish().unwrap();
        let error = Program::open(&path)
            .and_then(|program| Trainer::new(&program, &options()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error} does not say {part}");
    };
    refused(&|m| m["format"] = 2.into(), "use a newer Offshoot");
    refused(&|m| m["kind"] = "encoder".into(), "does not say that it is one");
    refused(&|m| m["procedures"][0]["model"] = "../x".into(), "no entry `../x`");
    refused(&|m| m["procedures"][0]["model"] = "state.safetensors".into(), "step");
    refused(&|m| m["procedures"] = serde_json::json!([]), "0 procedures");
    refused(&|m| m["state"][0]["dims"] = serde_json::json!([3, 1]), "`w`");
    refused(&|m| m["state"][0]["element"] = "float64".into(), "`w`");
    refused(&|m| m["state"][0]["element"] = "string".into(), "unknown variant");
    refused(&|m| m["state"][0]["name"] = "x".into(), "no tensor `x`");
    refused(&|m| m["state"][2]["dims"] = serde_json::json!([u64::MAX, u64::MAX]), "`m_w`");
    refused(&|m| m["state"][2]["zeros"] = false.into(), "no tensor `m_w`");
    refused(&|m| drop(m["entries"].as_object_mut().unwrap().remove("state.safetensors")), "list");
    refused(&|m| m["entries"]["state.safetensors"]["size"] = 1.into(), "its manifest says 1");
    refused(
        &|m| m["entries"]["state.safetensors"]["sha256"] = "0".repeat(64).into(),
        "`state.safetensors` is damaged",
    );
}

/// A save that is killed leaves the checkpoint that was there, or the new one, whole.
#[test]
fn an_interrupted_save_leaves_a_whole_file() {
    const NAME: &str = "an_interrupted_save_leaves_a_whole_file";
    const PATH: &str = "OFFSHOOT_TEST_CHECKPOINT";
    let mut builder = regression();
    let large = vec![0.5f32; 1 << 20];
    builder.state("large", Tensor::from_f32(&[large.len()], &large), StateKind::Average).unwrap();
    let program = builder.build().unwrap();
    if role().is_some() {
        let path = std::env::var(PATH).unwrap();
        let mut trainer = Trainer::new(&program, &options()).unwrap();
        loop {
            train(&mut trainer, 1);
            trainer.save(&path, &[]).unwrap();
            say(&trainer.steps().to_string());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    for kill in 0..6 {
        let mut part = Part::start(NAME, "save", &[(PATH, path.to_str().unwrap())]);
        let mut said = 0;
        for _ in 0..=kill {
            said = part.hear().parse().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(3 * kill));
        part.kill();
        let mut trainer = Trainer::new(&program, &options()).unwrap();
        let restored = trainer.restore(&path).unwrap();
        assert!(restored.steps >= said, "{} of {said}", restored.steps);
        // The state is the one of that many steps.
        let mut straight = Trainer::new(&program, &options()).unwrap();
        train(&mut straight, restored.steps);
        assert_eq!(state(&trainer), state(&straight));
    }
}
