//! Time to fit ridge regression, the linear discriminant and logistic regression to 10,000
//! examples of 384 dimensions and 20 classes: on the clock, and the processor time of all threads, which other
//! programs disturb less.
//!
//! Run with `cargo run --release -p offshoot-adapters --example time_ridge`; the same with
//! scikit-learn: `python adapters/tests/reference/time_ridge.py`.

use std::time::{Duration, Instant};

use ndarray::Array2;
use offshoot_adapters::{Classes, HeadKind, Result};

const EXAMPLES: usize = 10_000;
const DIMENSIONS: usize = 384;
const CLASSES: usize = 20;

/// Embeddings of length 1 around a direction a class, the same in every run.
fn embeddings() -> (Array2<f32>, Vec<usize>) {
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let directions = Array2::from_shape_simple_fn((CLASSES, DIMENSIONS), &mut next);
    let mut x = Array2::from_shape_simple_fn((EXAMPLES, DIMENSIONS), next);
    let y: Vec<usize> = (0..EXAMPLES).map(|i| i % CLASSES).collect();
    for (mut row, &class) in x.outer_iter_mut().zip(&y) {
        row.scaled_add(0.2, &directions.row(class));
        let norm = row.dot(&row).sqrt();
        row /= norm;
    }
    (x, y)
}

/// Time all threads have run so far, where the system tells, in steps of 10 ms.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = text.rsplit(") ").next()?.split(' ').collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(10 * ticks))
}

fn main() -> Result<()> {
    let (x, y) = embeddings();
    let classes = Classes::new((0..CLASSES).map(|k| format!("{k:02}")).collect())?;
    for kind in [HeadKind::Ridge, HeadKind::Discriminant, HeadKind::Logistic] {
        kind.fit(x.view(), &y, classes.clone())?;
        let before = processor_time();
        let times: Result<Vec<Duration>> = (0..15)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(100));
                let start = Instant::now();
                std::hint::black_box(kind.fit(x.view(), &y, classes.clone())?);
                Ok(start.elapsed())
            })
            .collect();
        let mut times = times?;
        times.sort();
        print!("{kind}: median {:.1?}, least {:.1?}", times[times.len() / 2], times[0]);
        let used = processor_time().zip(before).map(|(end, start)| (end - start) / 15);
        println!("{}", used.map_or(String::new(), |used| format!(", processor {used:.1?}")));
    }
    Ok(())
}
