//! Times to fit each head on 19 classes x 16 examples x 384 dimensions: the median of the
//! clock and, on Linux, the mean processor time, which other programs disturb less.
//!
//! A pause before each run keeps a busy machine from treating all of them as one long job.
//!
//! Run with `cargo run --release -p offshoot-adapters --example time_logistic`; the same with
//! scikit-learn: `python adapters/tests/reference/time_heads.py`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use offshoot_adapters::{Head, HeadKind, Logistic};

const RUNS: u32 = 101;

fn measure(name: &str, mut run: impl FnMut()) {
    run();
    let start = processor_time();
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    let used = processor_time().zip(start).map(|(end, start)| (end - start) / RUNS);
    times.sort();
    print!("{name}: median {:.2?}, least {:.2?}", times[times.len() / 2], times[0]);
    println!("{}", used.map_or(String::new(), |used| format!(", processor {used:.2?}")));
}

/// Time this thread has run so far, where the system tells.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

fn main() -> Result<(), offshoot_adapters::Error> {
    let (x, y, _) = support::reviews(19, 16, 384);
    let classes = support::film_names(19);
    for c in [1.0, 32.0, 1000.0] {
        let config = Logistic { c, ..Logistic::default() };
        let Head::Logistic(head) = config.fit(x.view(), &y, classes.clone())? else { continue };
        measure(&format!("logistic, C = {c}, {} iterations", head.iterations()), || {
            std::hint::black_box(config.fit(x.view(), &y, classes.clone())).ok();
        });
    }
    for kind in [HeadKind::Ridge, HeadKind::NearestMean] {
        measure(&format!("{kind}, defaults"), || {
            std::hint::black_box(kind.fit(x.view(), &y, classes.clone())).ok();
        });
    }
    Ok(())
}
