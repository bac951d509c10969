//! Plain `ort` as a peer of `peers/compare.py`: the same weights as one ordinary
//! ONNX graph of standard operators, ONNX Runtime's default options, texts sorted
//! by length in batches of 32, one session whose operators use all threads.

#![forbid(unsafe_code)]

use std::time::Instant;

use offshoot::bundle::{Bundle, TOKENIZER};
use offshoot::{Engine, Tokenizer, Tokens, Truncation};
use offshoot_benches::{TEXT_OF_32_TOKENS, median, minilm, report, seconds, texts};
use offshoot_export::graph::Lowering;
use ort::session::Session;
use ort::value::TensorRef;

fn main() {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2);
    let bundle = Bundle::open(minilm(Lowering::Standard)).expect("open the bundle");
    let config = bundle.manifest().text.clone().expect("an encoder of text");
    let json = bundle.read(TOKENIZER).expect("read the tokenizer");
    let tokenizer = Tokenizer::from_bytes(&json, &config, bundle.path()).expect("the tokenizer");
    let engine = Engine::load().expect("ONNX Runtime");
    let model = bundle.path().with_extension("").join("model.onnx");
    let mut session = Session::builder(engine.environment())
        .and_then(|b| Ok(b.with_intra_threads(threads)?))
        .and_then(|mut b| b.commit_from_file(model))
        .expect("open the graph");
    let tokens = |texts: &[String]| -> Vec<Tokens> {
        let encode = |text: &String| tokenizer.encode(text, Truncation::Cut, 0).expect("tokens");
        texts.iter().map(encode).collect()
    };
    let texts = texts();
    let mut run = |texts: &[String], batch: usize| {
        let mut rows = tokens(texts);
        rows.sort_by_key(|row| std::cmp::Reverse(row.ids.len()));
        rows.chunks(batch).for_each(|rows| run_batch(&mut session, rows, config.pad_id));
    };
    run(&texts[..64], 32);
    let mut best = f64::MAX;
    for batch in [8, 32] {
        let start = Instant::now();
        run(&texts, batch);
        best = best.min(start.elapsed().as_secs_f64());
    }
    let one = [TEXT_OF_32_TOKENS.to_owned()];
    let latency = median(seconds(200, || run(&one, 1)));
    report(
        "ort, plain",
        &[("texts_per_second", texts.len() as f64 / best), ("one_text_ms", latency * 1e3)],
    );
}

fn run_batch(session: &mut Session, rows: &[Tokens], pad: u32) {
    let width = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
    let mut ids = vec![i64::from(pad); rows.len() * width];
    let mut mask = vec![0i64; ids.len()];
    for (i, row) in rows.iter().enumerate() {
        for (j, &id) in row.ids.iter().enumerate() {
            ids[i * width + j] = i64::from(id);
            mask[i * width + j] = 1;
        }
    }
    let shape = [rows.len(), width];
    let ids = TensorRef::from_array_view((shape, ids.as_slice())).expect("ids");
    let mask = TensorRef::from_array_view((shape, mask.as_slice())).expect("mask");
    session.run(ort::inputs!["input_ids" => ids, "attention_mask" => mask]).expect("run the graph");
}
