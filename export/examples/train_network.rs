//! Trains a small network from nothing but Rust and ONNX Runtime: three spirals in the
//! plane, two hidden layers, AdamW, and the trained network as an ONNX file.
//!
//!     cargo run --release -p offshoot-export --example train_network -- spirals.onnx

use std::f32::consts::TAU;

use ndarray::{Array1, Array2};
use offshoot::{Trainer, TrainerOptions};
use offshoot_export::graph::external::Layout;
use offshoot_export::graph::{ElementType, Graph, Lowering, Tensor, Value};
use offshoot_export::program::ProcedureGraph;
use offshoot_export::shape;
use offshoot_export::training::optimizers::AdamW;
use offshoot_export::training::{TrainingOptions, TrainingStep, losses};
use onnx_protobuf::Message;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const WIDTHS: [usize; 4] = [2, 64, 64, 3];
const POINTS: usize = 300;

/// Numbers between -1 and 1 from a linear congruential generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// The network: its logits `[batch, 3]` for points `[batch, 2]`, and its weights.
fn network(g: &mut Graph, random: &mut Random) -> Result<(Value, Vec<Value>)> {
    let mut x = g.input("points", ElementType::Float32, shape!["batch", 2])?;
    let mut weights = Vec::new();
    for (layer, sizes) in WIDTHS.windows(2).enumerate() {
        let [inputs, outputs] = [sizes[0], sizes[1]];
        let bound = (6.0 / inputs as f32).sqrt();
        let start: Vec<f32> = (0..inputs * outputs).map(|_| bound * random.next()).collect();
        let weight = Tensor::from_f32(&[inputs, outputs], &start);
        let weight = g.initializer(&format!("{layer}.weight"), weight)?;
        let bias = Tensor::from_f32(&[outputs], &vec![0.0; outputs]);
        let bias = g.initializer(&format!("{layer}.bias"), bias)?;
        x = g.linear(x, weight, Some(bias))?;
        if layer + 2 < WIDTHS.len() {
            x = g.relu(x)?;
        }
        weights.extend([weight, bias]);
    }
    Ok((x, weights))
}

/// Points on three spirals, with the spiral of each.
fn spirals(random: &mut Random) -> (Array2<f32>, Array1<i64>) {
    let labels = Array1::from_iter((0..POINTS).map(|i| (i % 3) as i64));
    let mut points = Array2::zeros((POINTS, 2));
    for (i, mut point) in points.outer_iter_mut().enumerate() {
        let radius = (i / 3) as f32 / (POINTS / 3) as f32;
        let angle = TAU * (radius + (i % 3) as f32 / 3.0) + 0.1 * random.next();
        point[0] = radius * angle.cos();
        point[1] = radius * angle.sin();
    }
    (points, labels)
}

fn main() -> Result<()> {
    let output = std::env::args().nth(1).unwrap_or_else(|| "spirals.onnx".into());
    let mut random = Random(7);

    // The forward graph, then its loss, gradients and update: one step, one graph.
    let mut forward = Graph::new("spirals", Lowering::Standard);
    let (logits, weights) = network(&mut forward, &mut random)?;
    forward.output("logits", logits)?;
    let mut step = forward.clone();
    let labels = step.input("labels", ElementType::Int64, shape!["batch"])?;
    let loss = losses::cross_entropy(&mut step, logits, labels, &Default::default())?;
    let step =
        TrainingStep::new(step, loss, &weights, &AdamW::default(), &TrainingOptions::default())?;
    let mut program = step.program("spirals")?;

    // A second procedure reads the same parameters.
    let mut reading = forward.clone();
    let names: Vec<&str> = weights.iter().map(|&weight| forward.value_name(weight)).collect();
    for name in &names {
        reading.initializer_to_input(name);
    }
    let evaluate = ProcedureGraph::new("evaluate", reading);
    program.procedure(names.iter().fold(evaluate, |graph, name| graph.reads(name, name)))?;

    let mut trainer = Trainer::new(&program.build()?, &TrainerOptions::new())?;
    let (points, labels) = spirals(&mut random);
    for epoch in 1..=300 {
        let inputs = [
            ("points", (&points).into()),
            ("labels", (&labels).into()),
            ("learning_rate", 0.01f32.into()),
        ];
        let loss = trainer.step(&inputs)?.loss()?;
        if epoch % 50 == 0 {
            println!("step {epoch}: loss {loss:.4}");
        }
    }
    let found = trainer.evaluate(&[("points", (&points).into())])?;
    let logits = found.get("logits")?.array::<f32>()?;
    let right = logits.outer_iter().zip(&labels).filter(|(row, label)| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.is_some_and(|(class, _)| class as i64 == **label)
    });
    println!("{} of {POINTS} points right", right.count());

    // The trained weights in the forward graph, as a plain ONNX file.
    for (name, value) in trainer.parameters() {
        let value = value?;
        let values: Vec<f32> = value.array::<f32>()?.iter().copied().collect();
        forward.set_tensor(name, Tensor::from_f32(value.dims(), &values))?;
    }
    let model = forward.to_model(&Layout::inside(&forward)?)?;
    std::fs::write(&output, model.write_to_bytes()?)?;
    println!("{output} written");
    Ok(())
}
