//! rten as a peer of `compare.py`: the standard-operator graph, texts sorted by
//! length in batches of 8 or of 32, whichever is faster. `RTEN_NUM_THREADS` sets
//! the number of threads; `compare.py` passes it as the first argument.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rten::Model;
use rten_tensor::NdTensor;
use tokenizers::Tokenizer;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, _threads, folder, one] = &arguments[..] else {
        panic!("usage: peer-rten THREADS FOLDER TEXT");
    };
    let folder = Path::new(folder);
    let model = folder.join("minilm-standard");
    let mut tokenizer = Tokenizer::from_file(model.join("tokenizer.json")).expect("tokenizer");
    tokenizer.with_padding(None);
    let truncation = tokenizers::TruncationParams { max_length: 512, ..Default::default() };
    tokenizer.with_truncation(Some(truncation)).expect("truncation");
    let model = Model::load_file(with_accepted_name(&model)).expect("open the graph");
    let texts = std::fs::read(folder.join("texts.json")).expect("texts");
    let texts: Vec<String> = serde_json::from_slice(&texts).expect("texts");

    let run = |texts: &[String], batch: usize| {
        let mut rows: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| tokenizer.encode(text.as_str(), true).expect("tokens").get_ids().to_vec())
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.len()));
        rows.chunks(batch).for_each(|rows| run_batch(&model, rows));
    };
    run(&texts[..64], 32);
    let seconds = |texts: &[String], batch: usize| {
        let start = Instant::now();
        run(texts, batch);
        start.elapsed().as_secs_f64()
    };
    let best = seconds(&texts, 8).min(seconds(&texts, 32));
    let one = [one.clone()];
    let mut latency: Vec<f64> = (0..100).map(|_| seconds(&one, 1)).collect();
    latency.sort_by(f64::total_cmp);
    println!(
        "{}",
        serde_json::json!({
            "peer": "rten",
            "texts_per_second": texts.len() as f64 / best,
            "one_text_ms": latency[50] * 1e3,
        })
    );
}

/// A copy of the graph whose weights lie in `weight.data`: rten opens external data under a
/// few names only, and one of the same length leaves every offset of the graph as it is.
fn with_accepted_name(model: &Path) -> PathBuf {
    let (before, after) = (b"weights.bin", b"weight.data");
    let mut graph = std::fs::read(model.join("model.onnx")).expect("read the graph");
    let mut start = 0;
    while let Some(found) = graph[start..].windows(before.len()).position(|w| w == before) {
        graph[start + found..start + found + after.len()].copy_from_slice(after);
        start += found + after.len();
    }
    let copy = model.join("rten.onnx");
    std::fs::write(&copy, graph).expect("write the graph");
    let weights = model.join("weight.data");
    if !weights.exists() {
        std::fs::hard_link(model.join("weights.bin"), weights).expect("link the weights");
    }
    copy
}

fn run_batch(model: &Model, rows: &[Vec<u32>]) {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut ids = NdTensor::<i32, 2>::zeros([rows.len(), width]);
    let mut mask = NdTensor::<i32, 2>::zeros([rows.len(), width]);
    for (i, row) in rows.iter().enumerate() {
        for (j, &id) in row.iter().enumerate() {
            ids[[i, j]] = id as i32;
            mask[[i, j]] = 1;
        }
    }
    let inputs = [model.node_id("input_ids"), model.node_id("attention_mask")];
    let [ids_at, mask_at] = inputs.map(|id| id.expect("an input"));
    let output = model.node_id("embedding").expect("the output");
    model
        .run(vec![(ids_at, ids.into()), (mask_at, mask.into())], &[output], None)
        .expect("run the graph");
}
