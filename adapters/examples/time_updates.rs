//! Times of one update of a closed-form head: 384 dimensions, 100 classes.
//!
//! Run with `cargo run --release -p offshoot-adapters --example time_updates`.

use std::time::{Duration, Instant};

use ndarray::{Array1, Array2};
use offshoot_adapters::statistics::Statistics;
use offshoot_adapters::{RecursiveRidge, Result, Ridge};

const DIMENSIONS: usize = 384;
const CLASSES: usize = 100;
const EXAMPLES: usize = 2_000;

/// Embeddings of length 1, the same in every run.
fn embeddings(rows: usize) -> Array2<f32> {
    let mut state = 1u64;
    let mut x = Array2::from_shape_simple_fn((rows, DIMENSIONS), || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    });
    for mut row in x.outer_iter_mut() {
        let norm = row.dot(&row).sqrt();
        row /= norm;
    }
    x
}

/// Updates by one example, its class and the class after.
type Update<'a> = &'a mut dyn FnMut(&Array1<f32>, &str, &str) -> Result<()>;

fn print(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let (n, total) = (times.len(), times.iter().sum::<Duration>());
    println!(
        "{name}: median {:.1?}, mean {:.1?}, 99 of 100 below {:.1?}",
        times[n / 2],
        total / n as u32,
        times[n * 99 / 100],
    );
}

fn main() -> Result<()> {
    let x = embeddings(EXAMPLES);
    let names: Vec<String> = (0..CLASSES).map(|k| format!("class {k:02}")).collect();
    let mut ridge = RecursiveRidge::new(Statistics::new(DIMENSIONS)?, 1.0)?;
    let mut statistics = Statistics::new(DIMENSIONS)?;
    let time = |name: &str, update: Update| {
        let times: Result<Vec<_>> = (0..EXAMPLES)
            .map(|i| {
                let (x, class) = (x.row(i).to_owned(), &names[i % CLASSES]);
                let start = Instant::now();
                update(&x, class, &names[(i + 1) % CLASSES])?;
                Ok(start.elapsed())
            })
            .collect();
        times.map(|times| print(name, times))
    };
    println!("{DIMENSIONS} dimensions, {CLASSES} classes, {EXAMPLES} examples");
    time("statistics: add", &mut |x, class, _| statistics.add(x.view(), class, 1.0))?;
    time("recursive ridge: add", &mut |x, class, _| ridge.add(x.view(), class, 1.0))?;
    time("recursive ridge: relabel", &mut |x, class, next| {
        ridge.relabel(x.view(), class, next, 1.0)
    })?;
    time("recursive ridge: reweight", &mut |x, _, next| ridge.reweight(x.view(), next, 1.0, 2.0))?;
    time("recursive ridge: remove", &mut |x, _, next| ridge.remove(x.view(), next, 2.0))?;
    println!("solved anew {} times", ridge.refreshes());

    let start = Instant::now();
    statistics.ridge(&Ridge::default())?;
    println!("ridge from statistics, 13 penalties: {:.1?}", start.elapsed());
    let start = Instant::now();
    statistics.merge(&statistics.clone())?;
    println!("merge: {:.1?}", start.elapsed());
    Ok(())
}
