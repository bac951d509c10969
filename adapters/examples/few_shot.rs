//! Accuracy and calibration of every head on the sets of `benches/few_shot/prepare.py`; run
//! by `compare.py` there, which makes the draws and prints the figures beside scikit-learn's.
//! Arguments: the folder of the sets, and their names. Prints one line of JSON a set, number of
//! labels and head.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::{Array2, Axis};
use offshoot_adapters::{Classes, HeadKind};
use serde::Deserialize;

const BINS: usize = 15;

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
    for name in arguments {
        let (x, facts) = read(&folder, &name);
        for (&shots, draws) in &facts.draws {
            for kind in HeadKind::ALL {
                measure(&name, shots, kind, &x, &facts, draws);
            }
        }
    }
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
        let mut drawn = vec![false; y.len()];
        train.iter().for_each(|&i| drawn[i] = true);
        let test: Vec<usize> = (0..y.len()).filter(|&i| !drawn[i]).collect();
        let labels: Vec<String> = train.iter().map(|&i| format!("{:05}", y[i])).collect();
        let (names, train_y) = Classes::from_labels(&labels).expect("labels");
        let rows = x.select(Axis(0), train);
        let start = Instant::now();
        let head = kind.fit(rows.view(), &train_y, names).expect("fit");
        seconds += start.elapsed().as_secs_f64();
        let proba = head.predict_proba(x.select(Axis(0), &test).view()).expect("predict");
        let truth: Vec<usize> = test.iter().map(|&i| y[i]).collect();
        let (right, error) = score(&proba, &truth);
        accuracy += right;
        ece += error;
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

/// Accuracy and expected calibration error.
fn score(proba: &Array2<f64>, truth: &[usize]) -> (f64, f64) {
    let mut bins = [(0.0, 0.0); BINS];
    let mut right = 0.0;
    for (row, &class) in proba.outer_iter().zip(truth) {
        let best =
            row.iter().enumerate().fold((0, -1.0), |b, (k, &p)| if p > b.1 { (k, p) } else { b });
        let hit = if best.0 == class { 1.0 } else { 0.0 };
        right += hit;
        let bin = &mut bins[((best.1 * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += best.1;
        bin.1 += hit;
    }
    let n = truth.len() as f64;
    (right / n, bins.iter().map(|(confidence, hits)| (confidence - hits).abs()).sum::<f64>() / n)
}
