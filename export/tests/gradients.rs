//! Every rule of the differentiation against PyTorch's autograd.
//!
//! Each case of `reference/gradients/*.json` is one operator, the gradient that flows
//! into its outputs, and what PyTorch gives for the outputs and the gradients of the
//! inputs. It is run in three ways: built with known sizes; read from a file in which every
//! dimension is an unknown of its own; and against the slope along a random direction.
//! Operators on batches are also built for a batch of unknown size.

mod common;
mod operator_case;

use std::path::Path;

use offshoot_export::Result;
use offshoot_export::differentiate::gradients;
use offshoot_export::graph::read::read;
use offshoot_export::graph::{Graph, Tensor, Value};
use operator_case::running::Running;
use operator_case::{Array, Case};

/// Adds the loss and its gradients to a graph that holds the operator of `case`, and
/// writes it to `folder`.
fn differentiate(
    g: &mut Graph,
    case: &Case,
    inputs: &[Option<Value>],
    outputs: &[Value],
    folder: &Path,
) -> Result<()> {
    let mut loss: Option<Value> = None;
    for (at, (&output, seed)) in outputs.iter().zip(&case.seeds).enumerate() {
        g.output(&format!("output.{at}"), output)?;
        if seed.is_none() {
            continue;
        }
        let kind = g.tensor_type(output)?.clone();
        let seed = g.input(&format!("seed.{at}"), kind.element, kind.shape)?;
        let product = g.op("Mul", &[output, seed], vec![])?;
        let sum = g.op("ReduceSum", &[product], vec![operator_case::int("keepdims", 0)])?;
        loss = Some(match loss {
            Some(loss) => g.op("Add", &[loss, sum], vec![])?,
            None => sum,
        });
    }
    let loss = loss.expect("a case has a seed");
    let of: Vec<Value> =
        case.gradients.keys().map(|&at| inputs[at].expect("an input of its own")).collect();
    let found = gradients(g, loss, &of)?;
    for ((at, gradient), of) in case.gradients.keys().zip(found).zip(&of) {
        let (mine, its) = (g.tensor_type(gradient)?, g.tensor_type(*of)?);
        assert_eq!(mine, its, "{}: type of the gradient of input {at}", case.name);
        g.output(&format!("gradient.{at}"), gradient)?;
    }
    g.output("loss", loss)?;
    common::write(g, folder)
}

/// Runs what `differentiate` wrote and compares with the case.
fn check(case: &Case, folder: &Path, slopes: bool) -> std::result::Result<(), String> {
    let mut running = Running::open(folder)?;
    let found = running.run(case, &case.inputs)?;
    for (at, expected) in case.outputs.iter().enumerate() {
        if let Some(expected) = expected {
            expected.compare(&found[&format!("output.{at}")], case.tolerance, "output", at)?;
        }
    }
    for (&at, expected) in &case.gradients {
        expected.compare(&found[&format!("gradient.{at}")], case.tolerance, "gradient", at)?;
    }
    if slopes && case.smooth && case.is_double() {
        slope(case, &mut running, &found)?;
    }
    Ok(())
}

/// Compares the gradients with the change of the loss along a direction.
fn slope(
    case: &Case,
    running: &mut Running,
    found: &std::collections::HashMap<String, Array>,
) -> std::result::Result<(), String> {
    const STEP: f64 = 1e-5;
    let mut state = 1u64;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31) * 2.0 - 1.0
    };
    let (mut there, mut back) = (case.inputs.clone(), case.inputs.clone());
    let mut expected = 0.0;
    for &at in case.gradients.keys() {
        let (Some(up), Some(down)) = (&mut there[at], &mut back[at]) else { continue };
        if up.constant {
            return Ok(());
        }
        let gradient = &found[&format!("gradient.{at}")].values;
        for ((up, down), g) in up.array.values.iter_mut().zip(&mut down.array.values).zip(gradient)
        {
            let direction = draw();
            *up += STEP * direction;
            *down -= STEP * direction;
            expected += g * direction;
        }
    }
    let (there, back) = (running.run(case, &there)?, running.run(case, &back)?);
    let (there, back) = (&there["loss"].values, &back["loss"].values);
    let slope = (there[0] - back[0]) / (2.0 * STEP);
    // The error of a central difference is of the order of the step squared, and of the
    // loss's last digits over the step.
    if (slope - expected).abs() > 1e-6 * expected.abs().max(there[0].abs()).max(1.0) {
        return Err(format!("the slope is {slope}, the gradients say {expected}"));
    }
    Ok(())
}

fn built(case: &Case, batch: bool) -> std::result::Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let (mut g, inputs) = case.graph(batch);
    let call = case.wired(&inputs);
    let outputs = g
        .op_outputs(&case.operator, &call, case.attributes(), case.outputs.len())
        .map_err(|e| e.to_string())?;
    differentiate(&mut g, case, &inputs, &outputs, folder.path()).map_err(|e| e.to_string())?;
    check(case, folder.path(), !batch)
}

fn from_file(case: &Case) -> std::result::Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("read.onnx");
    std::fs::write(&file, case.model()).unwrap();
    let mut g = read(&file).map_err(|e| e.to_string())?.graph;
    let outcome = (|| {
        g.upgrade()?;
        g.infer_types()?;
        let inputs: Vec<Option<Value>> = case.values_of(&g);
        let outputs: Vec<Value> =
            g.nodes()[0].outputs.iter().map(|output| output.expect("an output")).collect();
        differentiate(&mut g, case, &inputs, &outputs, folder.path())
    })();
    match (outcome, &case.needs_sizes) {
        (Ok(()), None) => check(case, folder.path(), false),
        (Ok(()), Some(_)) => Err("was expected to need fixed sizes".into()),
        (Err(error), Some(reason)) if error.to_string().contains(reason) => Ok(()),
        (Err(error), _) => Err(error.to_string()),
    }
}

/// Kinds of operators whose first dimension is a batch.
const BATCHED: &[&str] =
    &["activation", "convolution", "loss", "normalisation", "pooling", "resize", "statistics"];

fn all(file: &str) {
    let batched = BATCHED.iter().any(|kind| file.starts_with(kind));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/gradients");
    let cases = Case::read(&folder.join(file));
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in &cases {
        if case.is_current()
            && let Err(reason) = built(case, false)
        {
            wrong.push(format!("{}, built: {reason}", case.name));
        }
        if batched
            && case.is_current()
            && case.has_batch()
            && let Err(reason) = built(case, true)
        {
            wrong.push(format!("{}, built for any batch: {reason}", case.name));
        }
        if let Err(reason) = from_file(case) {
            wrong.push(format!("{}, read: {reason}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

macro_rules! kinds {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { all(concat!(stringify!($name), ".json")); })*
    };
}

kinds![
    activation,
    arithmetic,
    convolution,
    einsum,
    embedding,
    layout,
    loss,
    movement,
    normalisation,
    pooling,
    product,
    reduction,
    resize,
    scatter,
    statistics,
];

#[test]
fn every_rule_has_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/gradients");
    let mut tested = std::collections::HashSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            tested.extend(Case::read(&path).into_iter().map(|case| case.operator));
        }
    }
    let untested: Vec<&str> = offshoot_export::differentiate::rules::TABLES
        .iter()
        .copied()
        .flatten()
        .filter(|rule| rule.formula != "0" && !tested.contains(rule.operator))
        .map(|rule| rule.operator)
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}

/// `y` as exporters write `RMSNormalization`, for the cases of that operator.
#[test]
fn root_mean_square_normalisation_as_exporters_write_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/gradients");
    let cases = Case::read(&folder.join("statistics.json"));
    let mut count = 0;
    for case in cases.iter().filter(|case| case.operator == "RMSNormalization") {
        let folder = tempfile::tempdir().unwrap();
        let (mut g, inputs) = case.graph(false);
        let (x, scale) = (inputs[0].unwrap(), inputs[1].unwrap());
        let rank = g.tensor_type(scale).unwrap().rank() as i64;
        let two = g.scalar(2.0).unwrap();
        let epsilon = g.scalar(1e-5).unwrap();
        let square = g.op("Pow", &[x, two], vec![]).unwrap();
        let axes = g
            .constant(Tensor::from_i64(&[rank as usize], &(-rank..0).collect::<Vec<_>>()))
            .unwrap();
        let mean = g.op("ReduceMean", &[square, axes], vec![]).unwrap();
        let mean = g.op("Add", &[mean, epsilon], vec![]).unwrap();
        let root = g.op("Sqrt", &[mean], vec![]).unwrap();
        let inverse = g.op("Reciprocal", &[root], vec![]).unwrap();
        let normal = g.op("Mul", &[x, inverse], vec![]).unwrap();
        let y = g.op("Mul", &[scale, normal], vec![]).unwrap();
        differentiate(&mut g, case, &inputs, &[y], folder.path()).unwrap();
        check(case, folder.path(), false).unwrap();
        count += 1;
    }
    assert!(count > 0);
}
