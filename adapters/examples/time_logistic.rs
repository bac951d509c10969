//! Median times to fit each head on 19 classes x 16 examples x 384 dimensions.
//!
//! Run with `cargo run --release -p offshoot-adapters --example time_logistic`; the same with
//! scikit-learn: `python adapters/tests/reference/time_heads.py`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use offshoot_adapters::{Head, HeadKind, Logistic};

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..101)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn main() -> Result<(), offshoot_adapters::Error> {
    let (x, y, _) = support::reviews(19, 16, 384);
    let classes = support::film_names(19);
    for c in [1.0, 32.0, 1000.0] {
        let config = Logistic { c, ..Logistic::default() };
        if let Head::Logistic(head) = config.fit(x.view(), &y, classes.clone())? {
            println!("C = {c}: {} iterations", head.iterations());
        }
        let time = median(|| {
            std::hint::black_box(config.fit(x.view(), &y, classes.clone())).ok();
        });
        println!("logistic, C = {c}: {time:.2?}");
    }
    for kind in HeadKind::ALL {
        let time = median(|| {
            std::hint::black_box(kind.fit(x.view(), &y, classes.clone())).ok();
        });
        println!("{kind}, defaults: {time:.2?}");
    }
    Ok(())
}
