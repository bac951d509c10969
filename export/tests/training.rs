//! Losses and optimizers against PyTorch, and steps run by the runtime's trainer.
//!
//! Figures come from `reference/training/make.py`. Everything is run with 64-bit and with
//! 32-bit floats.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::ArrayD;
use offshoot::Error;
use offshoot::trainer::{Element, Tensor, Trainer, TrainerOptions};
use offshoot_export::differentiate::gradients;
use offshoot_export::graph::{self, ElementType, Graph, Lowering, Shape, Value};
use offshoot_export::program::{ProcedureGraph, ProgramBuilder};
use offshoot_export::training::optimizers::{AdamW, Lamb, Lars, Optimizer, Sgd};
use offshoot_export::training::{
    LEARNING_RATE, TrainingOptions, TrainingStep, accumulating_program, losses,
};
use offshoot_export::{Result, shape};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
struct Array {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Array {
    fn fed(&self, element: ElementType) -> Tensor<'static> {
        let values = self.values.clone();
        let array = ArrayD::from_shape_vec(self.shape.clone(), values).unwrap();
        match element {
            ElementType::Float64 => array.into(),
            _ => array.mapv(|v| v as f32).into(),
        }
    }

    fn initial(&self, element: ElementType) -> graph::Tensor {
        graph::Tensor::from_f64(element, &self.shape, &self.values).unwrap()
    }

    /// Checks a tensor up to `tolerance`, relative to the largest element or to 1: what is
    /// small, such as 1 less a cosine, is the difference of numbers around 1.
    fn check(&self, found: &Tensor<'_>, tolerance: f64, what: &str) {
        assert_eq!(found.dims(), self.shape, "{what}");
        let largest = self.values.iter().fold(1.0f64, |most, v| most.max(v.abs()));
        for (at, (found, expected)) in numbers(found).iter().zip(&self.values).enumerate() {
            assert!(
                (found - expected).abs() <= tolerance * largest,
                "{what}, element {at}: {found}, not {expected}"
            );
        }
    }
}

fn numbers(tensor: &Tensor<'_>) -> Vec<f64> {
    match tensor.element() {
        Element::Float64 => tensor.array::<f64>().unwrap().iter().copied().collect(),
        _ => tensor.array::<f32>().unwrap().iter().map(|&v| f64::from(v)).collect(),
    }
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/training");
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn trainer(builder: &ProgramBuilder) -> Trainer {
    Trainer::new(&builder.build().unwrap(), &TrainerOptions::new().engine(common::engine()))
        .unwrap()
}

/// 64-bit floats agree to the last digits; 32-bit floats to a few of theirs.
const TYPES: [(ElementType, f64); 2] =
    [(ElementType::Float64, 1e-10), (ElementType::Float32, 1e-5)];

#[derive(Debug, Deserialize)]
struct LossCase {
    loss: String,
    name: String,
    settings: BTreeMap<String, f64>,
    inputs: Vec<Array>,
    labels: Option<Vec<i64>>,
    value: f64,
    gradients: Vec<Array>,
}

impl LossCase {
    fn build(&self, g: &mut Graph, element: ElementType) -> Result<(Vec<Value>, Value)> {
        let mut values = Vec::new();
        for (at, input) in self.inputs.iter().enumerate() {
            let shape: Shape = input.shape.iter().map(|&size| size.into()).collect();
            values.push(g.input(&format!("input.{at}"), element, shape)?);
        }
        let rows = self.inputs[0].shape[0];
        let labels = match self.labels {
            Some(_) => Some(g.input("labels", ElementType::Int64, shape![rows])?),
            None => None,
        };
        let setting = |name: &str| self.settings[name];
        let temperature = match self.settings.get("temperature") {
            Some(&temperature) => Some(g.scalar_of(element, temperature)?),
            None => None,
        };
        let warm = || temperature.expect("a temperature");
        let loss = match (self.loss.as_str(), &values[..]) {
            ("cross_entropy", &[x]) => {
                let mut settings = losses::CrossEntropy::default();
                if let Some(&share) = self.settings.get("label_smoothing") {
                    settings.label_smoothing = share;
                }
                if let Some(&label) = self.settings.get("ignored_label") {
                    settings.ignored_label = label as i64;
                }
                losses::cross_entropy(g, x, labels.unwrap(), &settings)?
            }
            ("mean_squared_error", &[a, b]) => losses::mean_squared_error(g, a, b)?,
            ("huber", &[a, b]) => losses::huber(g, a, b, setting("delta"))?,
            ("cosine", &[a, b]) => losses::cosine(g, a, b)?,
            ("info_nce", &[a, b]) => losses::info_nce(g, a, b, warm())?,
            ("multiple_negatives_ranking", &[a, b]) => {
                losses::multiple_negatives_ranking(g, a, b, setting("scale"))?
            }
            ("nt_xent", &[a, b]) => losses::nt_xent(g, a, b, warm())?,
            ("supervised_contrastive", &[x]) => {
                losses::supervised_contrastive(g, x, labels.unwrap(), warm())?
            }
            ("triplet", &[a, p, n]) => losses::triplet(g, a, p, n, setting("margin"))?,
            ("vicreg", &[a, b]) => {
                let weights = losses::Vicreg {
                    invariance: setting("invariance"),
                    variance: setting("variance"),
                    covariance: setting("covariance"),
                };
                losses::vicreg(g, a, b, &weights)?
            }
            ("barlow_twins", &[a, b]) => {
                let settings = losses::BarlowTwins { redundancy: setting("redundancy") };
                losses::barlow_twins(g, a, b, &settings)?
            }
            other => panic!("{other:?}"),
        };
        Ok((values, loss))
    }
}

#[test]
fn losses_and_their_gradients_are_those_of_pytorch() {
    for case in read::<Vec<LossCase>>("losses.json") {
        for (element, tolerance) in TYPES {
            let what = format!("{} ({}), {element}", case.loss, case.name);
            let mut g = Graph::new("loss", Lowering::Standard);
            let (inputs, loss) = case.build(&mut g, element).unwrap();
            for (at, gradient) in gradients(&mut g, loss, &inputs).unwrap().iter().enumerate() {
                g.output(&format!("gradient.{at}"), *gradient).unwrap();
            }
            g.output("loss", loss).unwrap();
            let mut builder = ProgramBuilder::new("loss");
            builder.procedure(ProcedureGraph::new("step", g)).unwrap();
            let fed: Vec<_> = case.inputs.iter().map(|input| input.fed(element)).collect();
            let names: Vec<_> = (0..fed.len()).map(|at| format!("input.{at}")).collect();
            let mut given: Vec<(&str, Tensor<'_>)> =
                names.iter().map(String::as_str).zip(fed).collect();
            if let Some(labels) = &case.labels {
                given.push(("labels", ndarray::Array1::from(labels.clone()).into()));
            }
            let outputs = trainer(&builder).step(&given).unwrap();
            let value = Array { shape: vec![], values: vec![case.value] };
            value.check(outputs.get("loss").unwrap(), tolerance, &what);
            for (at, expected) in case.gradients.iter().enumerate() {
                let found = outputs.get(&format!("gradient.{at}")).unwrap();
                expected.check(found, tolerance, &format!("{what}, gradient {at}"));
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Optimizers {
    rates: Vec<f32>,
    batches: Vec<Batch>,
    w: Array,
    b: Array,
    cases: Vec<OptimizerCase>,
    from_zeros: Vec<OptimizerCase>,
}

#[derive(Debug, Deserialize)]
struct Batch {
    x: Array,
    y: Array,
}

#[derive(Debug, Deserialize)]
struct OptimizerCase {
    name: String,
    optimizer: String,
    settings: BTreeMap<String, serde_json::Value>,
    clip: Option<f32>,
    average: Option<f32>,
    steps: Vec<Step>,
    state: BTreeMap<String, Array>,
}

#[derive(Debug, Deserialize)]
struct Step {
    loss: f64,
    norm: f64,
}

impl OptimizerCase {
    fn optimizer(&self) -> Box<dyn Optimizer> {
        let number =
            |name: &str| self.settings.get(name).map_or(0.0, |value| value.as_f64().unwrap());
        let adam = || AdamW {
            beta1: number("beta1"),
            beta2: number("beta2"),
            epsilon: number("epsilon"),
            weight_decay: number("weight_decay"),
        };
        match self.optimizer.as_str() {
            "sgd" => Box::new(Sgd {
                momentum: number("momentum"),
                nesterov: self.settings.contains_key("nesterov"),
                weight_decay: number("weight_decay"),
            }),
            "adamw" => Box::new(adam()),
            "lamb" => Box::new(Lamb { adam: adam() }),
            "lars" => Box::new(Lars {
                momentum: number("momentum"),
                trust: number("trust"),
                weight_decay: number("weight_decay"),
                adapts_all: self.settings.contains_key("adapts_all"),
            }),
            other => panic!("{other}"),
        }
    }

    fn step(&self, w: &Array, b: &Array, element: ElementType) -> TrainingStep {
        let mut g = Graph::new("model", Lowering::Standard);
        let x = g.input("x", element, shape!["batch", 3]).unwrap();
        let y = g.input("y", element, shape!["batch", 2]).unwrap();
        let w = g.initializer("w", w.initial(element)).unwrap();
        let b = g.initializer("b", b.initial(element)).unwrap();
        let hidden = g.matmul(x, w).unwrap();
        let hidden = g.tanh(hidden).unwrap();
        let prediction = g.add(hidden, b).unwrap();
        let loss = losses::mean_squared_error(&mut g, prediction, y).unwrap();
        let options = TrainingOptions {
            max_gradient_norm: self.clip,
            average_decay: self.average,
            ..TrainingOptions::default()
        };
        TrainingStep::new(g, loss, &[w, b], &*self.optimizer(), &options).unwrap()
    }
}

fn taken(trainer: &mut Trainer, batch: &Batch, rate: f32, element: ElementType) -> (f64, f64) {
    let given =
        [("x", batch.x.fed(element)), ("y", batch.y.fed(element)), (LEARNING_RATE, rate.into())];
    let outputs = trainer.step(&given).unwrap();
    let number = |name: &str| numbers(outputs.get(name).unwrap())[0];
    (number("loss"), number("gradient_norm"))
}

#[test]
fn optimizers_take_the_steps_of_pytorch() {
    let mut all: Optimizers = read("optimizers.json");
    let zeros = Array { shape: all.w.shape.clone(), values: vec![0.0; all.w.values.len()] };
    let cases = all.cases.drain(..).map(|case| (case, all.w.clone()));
    let from_zeros = all.from_zeros.drain(..).map(|case| (case, zeros.clone()));
    let cases: Vec<_> = cases.chain(from_zeros).collect();
    for (case, w) in &cases {
        for element in [ElementType::Float64, ElementType::Float32] {
            // The learning rate, the norm and what is computed of them are 32-bit floats
            // in any case, and PyTorch adds 1e-6 to the norm when it clips.
            let tolerance = if element == ElementType::Float64 { 1e-6 } else { 5e-6 };
            let what = format!("{} ({}), {element}", case.optimizer, case.name);
            let step = case.step(w, &all.b, element);
            let mut trainer = trainer(&step.program("model").unwrap());
            for ((batch, &rate), expected) in all.batches.iter().zip(&all.rates).zip(&case.steps) {
                let (loss, norm) = taken(&mut trainer, batch, rate, element);
                assert!((loss - expected.loss).abs() <= tolerance * expected.loss, "{what}");
                assert!((norm - expected.norm).abs() <= tolerance * expected.norm, "{what}");
            }
            for (name, expected) in &case.state {
                let found = trainer.state(name).unwrap();
                expected.check(&found, tolerance, &format!("{what}, {name}"));
            }
            assert_eq!(trainer.describe().count(), case.state.len() + 1, "{what}");
            assert_eq!(numbers(&trainer.state("step").unwrap()), [5.0]);
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_leaves_parameters_moments_average_and_count() {
    let all: Optimizers = read("optimizers.json");
    let case = all.cases.iter().find(|case| case.average.is_some()).unwrap();
    let step = case.step(&all.w, &all.b, ElementType::Float32);
    let mut trainer = trainer(&step.program("model").unwrap());
    taken(&mut trainer, &all.batches[0], all.rates[0], ElementType::Float32);
    let state = |trainer: &Trainer| -> Vec<_> {
        let names: Vec<String> = trainer.describe().map(|(name, ..)| name.to_owned()).collect();
        names.iter().map(|name| trainer.state(name).unwrap().to_bytes()).collect()
    };
    let before = state(&trainer);
    // The square of 1e30 is infinite.
    for bad in [f64::NAN, f64::INFINITY, 1e30] {
        let mut y = all.batches[0].y.clone();
        y.values[1] = bad;
        let element = ElementType::Float32;
        let (x, y) = (all.batches[0].x.fed(element), y.fed(element));
        let given = [("x", x), ("y", y), (LEARNING_RATE, 0.5f32.into())];
        let error = trainer.step(&given).unwrap_err();
        assert!(matches!(error, Error::NotFinite { .. }), "{bad}: {error}");
        assert_eq!(state(&trainer), before, "{bad}");
    }
    taken(&mut trainer, &all.batches[1], all.rates[1], ElementType::Float32);
    assert_ne!(state(&trainer), before);
}

/// A linear model and its mean squared error, for batches of any size.
fn linear_loss() -> (Graph, graph::Value, Vec<graph::Value>) {
    let mut g = Graph::new("linear", Lowering::Standard);
    let x = g.input("x", ElementType::Float32, shape!["batch", 2]).unwrap();
    let y = g.input("y", ElementType::Float32, shape!["batch", 1]).unwrap();
    let w = g.initializer("w", graph::Tensor::from_f32(&[2, 1], &[0.5, -0.25])).unwrap();
    let found = g.matmul(x, w).unwrap();
    let loss = losses::mean_squared_error(&mut g, found, y).unwrap();
    (g, loss, vec![w])
}

#[test]
fn accumulated_batches_are_one_step_of_all_of_them() {
    let (optimizer, options) = (AdamW::default(), TrainingOptions::default());
    let x = ndarray::array![[1.0f32, 2.0], [-0.5, 0.25], [3.0, -1.0], [0.5, 0.75]];
    let y = ndarray::array![[1.0f32], [0.0], [-2.0], [4.0]];
    let rate = || ("learning_rate", Tensor::from(0.1f32));

    let (g, loss, weights) = linear_loss();
    let step = TrainingStep::new(g, loss, &weights, &optimizer, &options).unwrap();
    let mut whole = trainer(&step.program("whole").unwrap());
    let (g, loss, weights) = linear_loss();
    let program = accumulating_program("parts", g, loss, &weights, &optimizer, &options).unwrap();
    let mut parts = trainer(&program);

    // Nothing is there to be applied, and the state stays.
    assert!(parts.run("update", &[rate()]).is_err());
    for _ in 0..3 {
        let all = whole.step(&[("x", (&x).into()), ("y", (&y).into()), rate()]).unwrap();
        for rows in [0..2, 2..4] {
            let x = x.slice(ndarray::s![rows.clone(), ..]).to_owned();
            let y = y.slice(ndarray::s![rows, ..]).to_owned();
            parts.run("accumulate", &[("x", (&x).into()), ("y", (&y).into())]).unwrap();
        }
        let applied = parts.run("update", &[rate()]).unwrap();
        let norms = [&all, &applied].map(|outputs| outputs.scalar("gradient_norm").unwrap());
        assert!((norms[0] - norms[1]).abs() < 1e-5 * norms[0], "{norms:?}");
        let found = numbers(&parts.parameter("w").unwrap());
        let expected = numbers(&whole.parameter("w").unwrap());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-6, "{found:?} {expected:?}");
        }
        assert_eq!(numbers(&parts.state("w.gradient").unwrap()), [0.0, 0.0]);
        assert_eq!(parts.state("accumulated_batches").unwrap().scalar().unwrap(), 0.0);
    }
    assert_eq!((whole.steps(), parts.steps()), (3, 3));
}

/// ONNX Runtime begins with the operator that stands last, so an update at the end must be the
/// one whose gradient comes first, whatever the order of the parameters.
#[test]
fn updates_stand_in_the_opposite_order_of_their_gradients() {
    for reversed in [false, true] {
        let mut g = Graph::new("model", Lowering::Standard);
        let mut x = g.input("x", ElementType::Float32, shape!["batch", 3]).unwrap();
        let mut parameters = Vec::new();
        for layer in ["first", "second", "third"] {
            let w = g.initializer(layer, graph::Tensor::from_f32(&[3, 3], &[0.1; 9])).unwrap();
            let y = g.matmul(x, w).unwrap();
            x = g.tanh(y).unwrap();
            parameters.push(w);
        }
        let loss = g.reduce_mean(x, 1).unwrap();
        let loss = g.reduce_mean(loss, 0).unwrap();
        if reversed {
            parameters.reverse();
        }
        let options = TrainingOptions::default();
        let optimizer = AdamW::default();
        let step = TrainingStep::new(g, loss, &parameters, &optimizer, &options).unwrap();
        let place = |output: &str| {
            let value = step.graph.output_named(output).unwrap();
            step.graph.nodes().iter().position(|node| node.outputs.contains(&Some(value)))
        };
        let places = ["first.next", "second.next", "third.next"].map(place);
        assert!(places.is_sorted(), "{places:?}");
        // The state is told in the order of the parameters.
        let told = if reversed { "third" } else { "first" };
        assert_eq!(step.state[0].name, told);
    }
}
