//! Accuracy and calibration of every head on the sets of `benches/few_shot/prepare.py`; run
//! by `compare.py` there, which makes the draws and prints the figures beside scikit-learn's.
//! Arguments: the folder of the sets, and their names; `--auto` among them leaves the other heads
//! out. Prints one line of JSON a set, number of labels and head.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::{Array2, Axis};
use offshoot_adapters::metrics::ReliabilityDiagram;
use offshoot_adapters::semi_supervised::SemiSupervised;
use offshoot_adapters::{Classes, HeadKind};
use serde::Deserialize;

/// Most unlabeled embeddings, and most labels a class with which they are used.
const POOL: usize = 2_500;
const MOST_WITH_POOL: usize = 8;

#[derive(Deserialize)]
struct Facts {
    rows: usize,
    dimensions: usize,
    labels: Vec<usize>,
    /// Rows to learn from, for each number of labels and draw.
    draws: BTreeMap<usize, Vec<Vec<usize>>>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let (flags, names): (Vec<String>, Vec<String>) = arguments.partition(|a| a == "--auto");
    let heads = if flags.is_empty() { &HeadKind::ALL[..] } else { &[HeadKind::Auto] };
    for name in names {
        let (x, facts) = read(&folder, &name);
        for (&shots, draws) in &facts.draws {
            for &kind in heads {
                measure(&name, shots, kind, &x, &facts, draws);
            }
            if shots <= MOST_WITH_POOL {
                measure_with_pool(&name, shots, &x, &facts, draws);
            }
        }
    }
}

/// `auto` that also sees the test embeddings, without their labels.
fn measure_with_pool(
    name: &str,
    shots: usize,
    x: &Array2<f32>,
    facts: &Facts,
    draws: &[Vec<usize>],
) {
    let y = &facts.labels;
    let (mut accuracy, mut seconds) = (0.0, 0.0);
    for train in draws {
        let test = rest(y.len(), train);
        // Evenly spaced, so that no order of the file matters.
        let step = test.len().div_ceil(POOL);
        let pool: Vec<usize> = test.iter().copied().step_by(step).collect();
        let (names, train_y) = classes(y, train);
        let start = Instant::now();
        let head = SemiSupervised::default()
            .fit(x.select(Axis(0), train).view(), &train_y, names, x.select(Axis(0), &pool).view())
            .expect("fit");
        seconds += start.elapsed().as_secs_f64();
        let right = head.pool_classes().iter().zip(&pool).filter(|(k, i)| **k == y[**i]).count();
        accuracy += right as f64 / pool.len() as f64;
    }
    let mean = |sum: f64| sum / draws.len() as f64;
    println!(
        "{}",
        serde_json::json!({
            "set": name, "shots": shots, "head": "auto, unlabeled", "accuracy": 100.0 * mean(accuracy),
            "ece": null, "seconds": mean(seconds),
        })
    );
}

/// The rows that were not drawn.
fn rest(rows: usize, train: &[usize]) -> Vec<usize> {
    let mut drawn = vec![false; rows];
    train.iter().for_each(|&i| drawn[i] = true);
    (0..rows).filter(|&i| !drawn[i]).collect()
}

fn classes(y: &[usize], train: &[usize]) -> (Classes, Vec<usize>) {
    let labels: Vec<String> = train.iter().map(|&i| format!("{:05}", y[i])).collect();
    Classes::from_labels(&labels).expect("labels")
}

fn read(folder: &Path, name: &str) -> (Array2<f32>, Facts) {
    let facts = std::fs::read(folder.join(format!("{name}.draws.json"))).expect("the draws");
    let facts: Facts = serde_json::from_slice(&facts).expect("facts of the set");
    let bytes = std::fs::read(folder.join(format!("{name}.f32"))).expect("rows of the set");
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let x = Array2::from_shape_vec((facts.rows, facts.dimensions), values.collect());
    (x.expect("the stated size"), facts)
}

fn measure(
    name: &str,
    shots: usize,
    kind: HeadKind,
    x: &Array2<f32>,
    facts: &Facts,
    draws: &[Vec<usize>],
) {
    let y = &facts.labels;
    let (mut accuracy, mut ece, mut seconds) = (0.0, 0.0, 0.0);
    for train in draws {
        let test = rest(y.len(), train);
        let (names, train_y) = classes(y, train);
        let rows = x.select(Axis(0), train);
        let start = Instant::now();
        let head = kind.fit(rows.view(), &train_y, names).expect("fit");
        seconds += start.elapsed().as_secs_f64();
        let proba = head.predict_proba(x.select(Axis(0), &test).view()).expect("predict");
        let truth: Vec<usize> = test.iter().map(|&i| y[i]).collect();
        let diagram = ReliabilityDiagram::new(proba.view(), &truth).expect("probabilities");
        accuracy += diagram.accuracy();
        ece += diagram.expected_calibration_error();
    }
    let mean = |sum: f64| sum / draws.len() as f64;
    println!(
        "{}",
        serde_json::json!({
            "set": name, "shots": shots, "head": kind.name(), "accuracy": 100.0 * mean(accuracy),
            "ece": mean(ece), "seconds": mean(seconds),
        })
    );
}
