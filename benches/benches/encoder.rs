//! Time to open an encoder, to embed one text, and to embed a batch.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offshoot::Encoder;
use offshoot_benches::{TEXT_OF_32_TOKENS, minilm, texts};
use offshoot_export::graph::Lowering;

fn encoder(c: &mut Criterion) {
    let bundle = minilm(Lowering::OnnxRuntime);
    let encoder = Encoder::open(&bundle).expect("open");
    c.bench_function("open", |b| b.iter(|| Encoder::open(&bundle).expect("open")));
    c.bench_function("one text of 32 tokens", |b| {
        b.iter(|| encoder.embed(&[TEXT_OF_32_TOKENS]).expect("embed"));
    });
    let texts: Vec<String> = texts().into_iter().step_by(30).collect();
    let mut group = c.benchmark_group("many");
    group.throughput(Throughput::Elements(texts.len() as u64)).sample_size(10);
    group.bench_function("100 movie texts", |b| {
        b.iter(|| encoder.embed(&texts).expect("embed"));
    });
    group.finish();
}

criterion_group!(benches, encoder);
criterion_main!(benches);
