//! An encoder as an application uses it: several threads, idle times, options,
//! smaller embeddings.

use std::num::NonZero;
use std::time::{Duration, Instant};

use offshoot::{EmbedOptions, Encoder, Prompt, Spinning, WeightCache};
use offshoot_tests::tiny;

fn tiny_encoder(folder: &tempfile::TempDir) -> Encoder {
    let bundle = tiny::bundle(folder.path(), "tiny", 1);
    offshoot_tests::options()
        .cache(WeightCache::Folder(folder.path().join("cache")))
        .open(bundle)
        .unwrap()
}

#[test]
fn many_threads_get_the_same_answers_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = tiny_encoder(&folder);
    let texts: Vec<String> =
        (0..400).map(|i| format!("the film {} was good {i}", "very ".repeat(i % 40))).collect();
    let expected = encoder.embed(&texts).unwrap().into_vectors();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (encoder, texts, expected) = (&encoder, &texts, &expected);
            scope.spawn(move || {
                for round in 0..6 {
                    let range = (thread * 40 + round)..(thread * 40 + round + 60);
                    let found = encoder.embed(&texts[range.clone()]).unwrap();
                    for (found, row) in found.vectors().rows().into_iter().zip(range) {
                        let expected = expected.row(row);
                        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
                    }
                    if thread == 0 {
                        // Whoever unloads does not disturb those at work.
                        encoder.unload();
                    }
                }
            });
        }
    });
}

#[test]
fn an_idle_encoder_is_unloaded_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(folder.path(), "tiny", 1);
    let encoder = offshoot_tests::options()
        .idle_unload(Some(Duration::from_millis(50)))
        .open(bundle)
        .unwrap();
    let before = encoder.embed(&["good"]).unwrap();
    let start = Instant::now();
    while encoder.is_loaded() {
        assert!(start.elapsed() < Duration::from_secs(30), "it stays loaded");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(encoder.embed(&["good"]).unwrap(), before);
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_encoder_spins_no_core() {
    use offshoot_tests::process::{Part, role, say};
    if role().is_some() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = tiny::bundle(folder.path(), "tiny", 1);
        let encoder = offshoot_tests::options().threads(NonZero::new(4)).open(bundle).unwrap();
        encoder.embed(&["good"]).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let before = processor_time();
        std::thread::sleep(Duration::from_millis(1500));
        say(&(processor_time() - before).to_string());
        return;
    }
    let mut part = Part::start("an_idle_encoder_spins_no_core", "one", &[]);
    let ticks: u64 = part.hear().parse().unwrap();
    part.finish();
    // A thread that spins would use 150 ticks of 10 ms.
    assert!(ticks <= 15, "{ticks} ticks of processor time while idle");
}

/// Processor time of this process, all threads, in ticks of 10 ms.
#[cfg(target_os = "linux")]
fn processor_time() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn every_session_option_reaches_onnx_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(folder.path(), "tiny", 1);
    for spinning in [Spinning::Off, Spinning::WithinCalls, Spinning::Always] {
        let encoder = offshoot_tests::options()
            .spinning(spinning)
            .threads(NonZero::new(3))
            .config_entry("session.disable_prepacking", "1")
            .open(&bundle)
            .unwrap();
        assert_eq!(encoder.embed(&["good"]).unwrap().vectors().dim(), (1, tiny::WIDTH));
    }
    let error = offshoot_tests::options()
        .config_entry("session.intra_op_thread_affinities", "nonsense")
        .threads(NonZero::new(2))
        .open(&bundle)
        .unwrap_err()
        .to_string();
    assert!(error.contains("ONNX Runtime failed"), "{error}");
}

#[test]
fn fewer_dimensions_are_unit_vectors_again() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = tiny_encoder(&folder);
    let whole = encoder.embed(&["a bad plot"]).unwrap();
    let options = EmbedOptions { dimensions: NonZero::new(8), ..Default::default() };
    let part = encoder.embed_with(&["a bad plot"], &options).unwrap();
    let (whole, part) = (whole.vectors(), part.vectors());
    let norm = whole.iter().take(8).map(|v| v * v).sum::<f32>().sqrt();
    for (found, value) in part.iter().zip(whole) {
        assert!((found - value / norm).abs() < 1e-6);
    }
    let options = EmbedOptions { dimensions: NonZero::new(33), ..Default::default() };
    let error = encoder.embed_with(&["x"], &options).unwrap_err().to_string();
    assert!(error.contains("33 dimensions were asked for and the encoder has 32"), "{error}");
}

#[test]
fn a_prompt_is_text_before_the_input() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = tiny_encoder(&folder);
    let options = EmbedOptions { prompt: Prompt::Text("the plot ".into()), ..Default::default() };
    let prompted = encoder.embed_with(&["was bad"], &options).unwrap();
    let written_out = encoder.embed(&["the plot was bad"]).unwrap();
    assert_eq!(prompted.vectors(), written_out.vectors());
    let options = EmbedOptions { prompt: Prompt::Named("query".into()), ..Default::default() };
    let error = encoder.embed_with(&["x"], &options).unwrap_err().to_string();
    assert!(error.contains("there is no prompt `query`: this encoder has none"), "{error}");
}

#[test]
fn no_texts_give_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = tiny_encoder(&folder);
    let none = encoder.embed(&[] as &[&str]).unwrap();
    assert_eq!(none.vectors().dim(), (0, tiny::WIDTH));
}
