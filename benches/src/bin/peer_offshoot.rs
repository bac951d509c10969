//! This project as a peer of `peers/compare.py`: texts a second over the movie
//! texts, and the time of one 32-token text.

#![forbid(unsafe_code)]

use std::num::NonZero;
use std::time::Instant;

use offshoot::OpenOptions;
use offshoot_benches::{TEXT_OF_32_TOKENS, median, minilm, report, seconds, texts};
use offshoot_export::graph::Lowering;

fn main() {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2);
    let bundle = minilm(Lowering::OnnxRuntime);
    let encoder =
        OpenOptions::new().threads(NonZero::new(threads)).open(bundle).expect("open the bundle");
    let texts = texts();
    encoder.embed(&texts[..64]).expect("warm up");
    let start = Instant::now();
    let embeddings = encoder.embed(&texts).expect("embed");
    let elapsed = start.elapsed().as_secs_f64();
    let one = [TEXT_OF_32_TOKENS];
    assert_eq!(encoder.embed(&one).expect("embed").tokens(), 32);
    let latency = median(seconds(200, || drop(encoder.embed(&one).expect("embed"))));
    report(
        "offshoot",
        &[
            ("texts_per_second", texts.len() as f64 / elapsed),
            ("tokens_per_second", embeddings.tokens() as f64 / elapsed),
            ("one_text_ms", latency * 1e3),
        ],
    );
}
