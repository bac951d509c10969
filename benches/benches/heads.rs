//! Time to fit each head on embeddings of real texts: 19 classes × 16 examples ×
//! 384 dimensions.

use criterion::{Criterion, criterion_group, criterion_main};
use offshoot::Encoder;
use offshoot_adapters::{Classes, HeadKind};
use offshoot_benches::{minilm, texts};
use offshoot_export::graph::Lowering;

const CLASSES: usize = 19;
const EXAMPLES: usize = 16;

fn heads(c: &mut Criterion) {
    let encoder = Encoder::open(minilm(Lowering::OnnxRuntime)).expect("open");
    let texts: Vec<String> = texts().into_iter().take(CLASSES * EXAMPLES).collect();
    let embeddings = encoder.embed(&texts).expect("embed");
    // Any labels will do for a time; consecutive texts share one.
    let labels: Vec<String> =
        (0..texts.len()).map(|i| format!("class {:02}", i / EXAMPLES)).collect();
    let (classes, y) = Classes::from_labels(&labels).expect("classes");
    for kind in HeadKind::ALL {
        c.bench_function(&format!("fit {kind}"), |b| {
            b.iter(|| kind.fit(embeddings.vectors(), &y, classes.clone()).expect("fit"));
        });
    }
}

criterion_group!(benches, heads);
criterion_main!(benches);
