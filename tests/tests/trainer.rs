//! Training programs that run: equal to PyTorch, without copies of state, and never
//! left with a state that is not finite.

use std::num::NonZeroUsize;

use ndarray::{Array1, Array2, ArrayView2, arr0};
use offshoot::Error;
use offshoot::trainer::{
    Arena, Device, Element, Optimization, Program, StateKind, Tensor, Trainer, TrainerOptions,
};
use offshoot_export::graph::{self, ElementType, Graph, Lowering};
use offshoot_export::program::{ProcedureGraph, ProgramBuilder};
use offshoot_export::shape;
use offshoot_tests::training::{BIAS, WEIGHT, regression};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    rate: f32,
    batches: Vec<Batch>,
    losses: Vec<f32>,
    w: Vec<f32>,
    b: Vec<f32>,
    m_w: Vec<f32>,
    m_b: Vec<f32>,
}

#[derive(Deserialize)]
struct Batch {
    x: Vec<[f32; 2]>,
    y: Vec<f32>,
}

impl Batch {
    fn x(&self) -> Array2<f32> {
        self.x.clone().into()
    }

    fn y(&self) -> Array2<f32> {
        Array2::from_shape_vec((self.y.len(), 1), self.y.clone()).unwrap()
    }
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../reference/trainer/regression.json")).unwrap()
}

fn options() -> TrainerOptions {
    offshoot_tests::onnx_runtime();
    TrainerOptions::new().threads(NonZeroUsize::new(2))
}

fn trainer() -> Trainer {
    Trainer::new(&regression().build().unwrap(), &options()).unwrap()
}

fn values(tensor: &Tensor<'_>) -> Vec<f32> {
    tensor.array::<f32>().unwrap().iter().copied().collect()
}

/// Largest difference of two values of PyTorch and of the engine, as a part of the
/// larger one: both compute in 32-bit floats, in another order.
const RELATIVE: f32 = 1e-5;

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= RELATIVE * a.abs().max(b.abs()).max(1e-2),
            "{found:?} {expected:?}"
        );
    }
}

fn step(trainer: &mut Trainer, batch: &Batch, rate: f32) -> offshoot::Result<f32> {
    let (x, y) = (batch.x(), batch.y());
    trainer.step(&[("x", (&x).into()), ("y", (&y).into()), ("rate", rate.into())])?.loss()
}

#[test]
fn training_equals_pytorch_with_batches_of_any_size() {
    let reference = reference();
    let options = [
        options(),
        options().memory_pattern(true),
        options().arena(Arena::None).optimization(Optimization::Basic).deterministic(true),
    ];
    for options in options {
        let mut trainer = Trainer::new(&regression().build().unwrap(), &options).unwrap();
        let losses: Vec<f32> = reference
            .batches
            .iter()
            .map(|batch| step(&mut trainer, batch, reference.rate).unwrap())
            .collect();
        assert_close(&losses, &reference.losses);
        let names = [("w", &reference.w), ("b", &reference.b)];
        for (name, expected) in names {
            assert_close(&values(&trainer.parameter(name).unwrap()), expected);
        }
        for (name, expected) in [("m_w", &reference.m_w), ("m_b", &reference.m_b)] {
            assert_close(&values(&trainer.state(name).unwrap()), expected);
        }
        assert_eq!(trainer.steps(), 12);
    }
}

#[test]
fn evaluation_reads_and_does_not_write() {
    let batch = &reference().batches[0];
    let mut trainer = trainer();
    let (x, y) = (batch.x(), batch.y());
    let inputs = [("x", Tensor::from(&x)), ("y", Tensor::from(&y))];
    let mut outputs = trainer.evaluate(&inputs).unwrap();
    let expected: Vec<f32> =
        batch.x.iter().map(|[a, b]| a * WEIGHT[0] + b * WEIGHT[1] + BIAS[0]).collect();
    assert_close(&values(outputs.get("prediction").unwrap()), &expected);
    let loss = expected.iter().zip(&batch.y).map(|(p, y)| (p - y).powi(2)).sum::<f32>() / 4.0;
    assert_close(&[outputs.loss().unwrap()], &[loss]);
    assert_eq!(outputs.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["loss", "prediction"]);
    let prediction = outputs.take("prediction").unwrap();
    assert_eq!(prediction.dims(), [4, 1]);
    assert!(outputs.get("prediction").unwrap_err().to_string().contains("only loss"));
    assert_eq!(values(&trainer.parameter("w").unwrap()), WEIGHT);
    assert_eq!(trainer.steps(), 0);
    // Outputs stay what they were when the procedure runs again.
    let mut again = trainer.evaluate(&[("x", (&x * 2.0).into()), ("y", (&y).into())]).unwrap();
    assert_ne!(again.take("prediction").unwrap(), prediction);
    assert_close(&values(&prediction), &expected);
}

#[test]
fn gradients_of_several_batches_are_those_of_one() {
    let batch = &reference().batches[1];
    let (x, y) = (batch.x(), batch.y());
    let mut whole = trainer();
    step(&mut whole, batch, 0.05).unwrap();
    let mut parts = trainer();
    let n = x.nrows();
    for _ in 0..2 {
        for (from, to) in [(0, 3), (3, n)] {
            let (x, y) = (x.slice(ndarray::s![from..to, ..]), y.slice(ndarray::s![from..to, ..]));
            let share = (to - from) as f32 / n as f32;
            let inputs = [("x", x.into()), ("y", y.into()), ("share", share.into())];
            parts.run("accumulate", &inputs).unwrap();
        }
        parts.run("update", &[("rate", 0.05f32.into())]).unwrap();
        for name in ["w", "b", "m_w", "m_b"] {
            assert_close(
                &values(&parts.state(name).unwrap()),
                &values(&whole.state(name).unwrap()),
            );
        }
        assert_eq!(values(&parts.state("g_w").unwrap()), [0.0, 0.0]);
        step(&mut whole, batch, 0.05).unwrap();
    }
    assert_eq!((parts.steps(), whole.steps()), (2, 3));
}

#[test]
fn the_output_of_a_step_is_the_input_of_the_next() {
    let batch = &reference().batches[0];
    let mut trainer = trainer();
    let mut addresses = Vec::new();
    for _ in 0..6 {
        addresses.push(["w", "m_b"].map(|name| trainer.state_address(name).unwrap()));
        step(&mut trainer, batch, 0.05).unwrap();
        let (x, y) = (batch.x(), batch.y());
        trainer.evaluate(&[("x", x.into()), ("y", y.into())]).unwrap();
    }
    assert_ne!(addresses[0][0], addresses[1][0]);
    assert_ne!(addresses[0][1], addresses[1][1]);
    for pair in addresses.windows(3) {
        assert_eq!(pair[0], pair[2]);
    }
    // A procedure that writes other tensors turns only those over.
    let before = ["w", "g_w"].map(|name| trainer.state_address(name).unwrap());
    let (x, y) = (batch.x(), batch.y());
    trainer.run("accumulate", &[("x", x.into()), ("y", y.into()), ("share", 1f32.into())]).unwrap();
    let after = ["w", "g_w"].map(|name| trainer.state_address(name).unwrap());
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
}

#[test]
fn a_loss_that_is_not_finite_keeps_the_last_good_state() {
    let batches = reference().batches;
    let mut trainer = trainer();
    step(&mut trainer, &batches[0], 0.05).unwrap();
    let before: Vec<_> =
        trainer.describe().map(|(name, ..)| trainer.state(name).unwrap()).collect();
    let bad = Batch { x: vec![[1.0, f32::NAN]], y: vec![0.0] };
    let error = step(&mut trainer, &bad, 0.05).unwrap_err();
    let Error::NotFinite { procedure, guard, value, step: at, tensors } = &error else {
        panic!("{error}")
    };
    assert_eq!((procedure.as_str(), guard.as_str(), *at), ("step", "loss", 2));
    assert!(value.is_nan());
    assert_eq!(tensors, &["w", "b", "m_w", "m_b"]);
    let message = error.to_string();
    for part in ["`loss` is NaN at step 2", "4 state tensors", "lower the learning rate"] {
        assert!(message.contains(part), "{message}");
    }
    let after: Vec<_> = trainer.describe().map(|(name, ..)| trainer.state(name).unwrap()).collect();
    assert_eq!(before, after);
    assert_eq!(trainer.steps(), 1);
    // And training goes on as if the bad batch had not been.
    let mut other = self::trainer();
    step(&mut other, &batches[0], 0.05).unwrap();
    let losses =
        [&mut trainer, &mut other].map(|trainer| step(trainer, &batches[1], 0.05).unwrap());
    assert_eq!(losses[0], losses[1]);
}

#[test]
fn wrong_data_is_refused_before_the_engine_runs() {
    let mut trainer = trainer();
    let x = Array2::<f32>::zeros((3, 2));
    let y = Array2::<f32>::zeros((3, 1));
    let rate = Tensor::from(0.1f32);
    let mut refused = |inputs: &[(&str, Tensor<'_>)], parts: &[&str]| {
        let message = trainer.step(inputs).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    };
    let (x, y) = (|| Tensor::from(&x), || Tensor::from(&y));
    refused(&[("x", x()), ("y", y())], &["`rate`", "is missing", "x, y, rate"]);
    refused(
        &[("x", x()), ("y", y()), ("rate", rate.clone()), ("z", y())],
        &["`z`", "not one that it takes", "x, y, rate"],
    );
    refused(&[("x", x()), ("x", x()), ("y", y()), ("rate", rate.clone())], &["`x`", "given twice"]);
    refused(
        &[("x", y()), ("y", y()), ("rate", rate.clone())],
        &["`x`", "float32 [3, 1], not float32 [batch, 2]"],
    );
    refused(
        &[("x", arr0(0.5f32).into()), ("y", y()), ("rate", rate.clone())],
        &["`x`", "float32 [], not float32 [batch, 2]"],
    );
    refused(
        &[("x", x()), ("y", y()), ("rate", 0.1f64.into())],
        &["`rate`", "float64 [], not float32 []"],
    );
    refused(
        &[("x", x()), ("y", Array2::<f32>::zeros((4, 1)).into()), ("rate", rate)],
        &["`y`", "has 4 for `batch`", "`x` has 3"],
    );
    // The state is not data.
    refused(&[("w", y())], &["`w`", "not one that it takes"]);
    let message = trainer.run("train", &[]).unwrap_err().to_string();
    assert!(message.contains("no procedure `train`, only step, evaluate"), "{message}");
    let message = trainer.state("v").unwrap_err().to_string();
    assert!(message.contains("no state tensor `v`") && message.contains("m_w"), "{message}");
    assert!(trainer.parameter("m_w").is_err());
    assert_eq!(values(&trainer.parameter("w").unwrap()), WEIGHT);
}

#[test]
fn views_of_any_layout_and_empty_batches_are_read_right() {
    let mut trainer = trainer();
    let x = Array2::from_shape_fn((2, 5), |(i, j)| (3 * i + j) as f32 * 0.1);
    let y = Array2::<f32>::ones((5, 1));
    let by_columns: ArrayView2<'_, f32> = x.t();
    assert!(!by_columns.is_standard_layout());
    let rows = by_columns.as_standard_layout().into_owned();
    let mut run = |x: Tensor<'_>| {
        let mut outputs = trainer.evaluate(&[("x", (&x).into()), ("y", (&y).into())]).unwrap();
        outputs.take("prediction").unwrap()
    };
    assert_eq!(run(by_columns.into()), run(rows.into()));
    let none =
        [("x", Array2::<f32>::zeros((0, 2)).into()), ("y", Array2::<f32>::zeros((0, 1)).into())];
    let outputs = trainer.evaluate(&none).unwrap();
    assert_eq!(outputs.get("prediction").unwrap().dims(), [0, 1]);
}

#[test]
fn state_can_be_replaced_by_the_same_type_and_shape() {
    let batch = &reference().batches[0];
    let mut trainer = trainer();
    let fresh = step(&mut trainer, batch, 0.05).unwrap();
    let trained = trainer.parameter("w").unwrap();
    trainer.set_state("w", Array2::from_shape_vec((2, 1), WEIGHT.to_vec()).unwrap()).unwrap();
    trainer.set_state("b", Array1::from(BIAS.to_vec())).unwrap();
    for name in ["m_w", "m_b"] {
        let zeros = Tensor::from_bytes(
            Element::Float32,
            trainer.state(name).unwrap().dims(),
            &vec![0; trainer.state(name).unwrap().to_bytes().len()],
        );
        trainer.set_state(name, zeros.unwrap()).unwrap();
    }
    assert_eq!(step(&mut trainer, batch, 0.05).unwrap(), fresh);
    assert_eq!(trainer.parameter("w").unwrap(), trained);
    let message = trainer.set_state("w", Array1::<f32>::zeros(2)).unwrap_err().to_string();
    assert!(message.contains("float32 [2, 1]") && message.contains("float32 [2]"), "{message}");
    let names: Vec<_> = trainer.parameters().map(|(name, value)| (name, value.unwrap())).collect();
    assert_eq!(names.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["w", "b"]);
    assert_eq!(trainer.state_of(StateKind::Optimizer).count(), 4);
}

/// Weights in half precision, a counter, and a frozen table that two procedures share.
fn mixed() -> ProgramBuilder {
    let mut builder = ProgramBuilder::new("mixed");
    let one = graph::Tensor {
        element: ElementType::Float16,
        dims: vec![2],
        data: graph::TensorData::Bytes([0x00, 0x3c, 0x00, 0x40].to_vec().into()),
    };
    builder.state("h", one, StateKind::Parameter).unwrap();
    builder.zeros("count", ElementType::Int64, &[], StateKind::Other).unwrap();
    let table: Vec<f32> = (0..600).map(|i| i as f32).collect();
    for name in ["step", "evaluate"] {
        let mut g = Graph::new(name, Lowering::Standard);
        let h = g.input("h", ElementType::Float16, shape![2]).unwrap();
        let row = g.input("row", ElementType::Int64, shape![1]).unwrap();
        let table = g.initializer("table", graph::Tensor::from_f32(&[300, 2], &table)).unwrap();
        let picked = g.gather(table, row, 0).unwrap();
        let wide = g.cast(h, ElementType::Float32).unwrap();
        let sum = g.add(picked, wide).unwrap();
        g.output("sum", sum).unwrap();
        let mut procedure_ = None;
        if name == "step" {
            let count = g.input("count", ElementType::Int64, shape![]).unwrap();
            let one = g.constant(graph::Tensor::from_i64(&[], &[1])).unwrap();
            let count = g.add(count, one).unwrap();
            g.output("count.next", count).unwrap();
            let doubled = g.add(h, h).unwrap();
            g.output("h.next", doubled).unwrap();
            let procedure = ProcedureGraph::new(name, g.clone()).reads("h", "h");
            procedure_ = Some(
                procedure
                    .reads("count", "count")
                    .writes("count.next", "count")
                    .writes("h.next", "h")
                    .guard("sum"),
            );
        }
        let plain = || ProcedureGraph::new(name, g.clone()).reads("h", "h");
        builder.procedure(procedure_.unwrap_or_else(plain)).unwrap();
    }
    builder
}

#[test]
fn half_precision_counters_and_shared_frozen_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixed.training");
    let builder = mixed();
    let written = builder.write(&path, false).unwrap();
    // The table of 2400 bytes is stored once.
    assert_eq!(written.manifest.entries["weights.bin"].size, 2400);
    let in_memory = builder.build().unwrap();
    let on_disk = Program::open(&path).unwrap();
    assert_eq!(in_memory.digest(), on_disk.digest());
    for program in [in_memory, on_disk] {
        let mut trainer = Trainer::new(&program, &options()).unwrap();
        let row = Array1::from(vec![7i64]);
        for _ in 0..3 {
            trainer.step(&[("row", (&row).into())]).unwrap();
        }
        assert_eq!(trainer.state("count").unwrap(), Tensor::from(3i64));
        assert_eq!(trainer.state("h").unwrap().element(), Element::Float16);
        let outputs = trainer.evaluate(&[("row", (&row).into())]).unwrap();
        assert_eq!(values(outputs.get("sum").unwrap()), [14.0 + 8.0, 15.0 + 16.0]);
    }
    // 2^16 is not finite in half precision: the counter shows the last good step.
    let mut trainer = Trainer::open(&path, &options()).unwrap();
    let row = Array1::from(vec![0i64]);
    let error = loop {
        match trainer.step(&[("row", (&row).into())]) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    // The guard sees the infinite weight one step after it was written.
    let Error::NotFinite { step, tensors, .. } = &error else { panic!("{error}") };
    assert_eq!(trainer.state("count").unwrap(), Tensor::from(*step as i64 - 1));
    assert_eq!(tensors, &["h"]);
}

#[test]
fn a_device_that_is_not_there_is_an_error_unless_the_cpu_may_stand_in() {
    let program = regression().build().unwrap();
    let cuda = options().device(Device::Cuda { index: 0 });
    match Trainer::new(&program, &cuda) {
        Err(error) => {
            assert!(matches!(error, Error::Device { .. }), "{error}");
            let message = error.to_string();
            for part in ["cuda:0", "onnxruntime-gpu", "ORT_DYLIB_PATH"] {
                assert!(message.contains(part), "{message}");
            }
            let mut trainer = Trainer::new(&program, &cuda.fallback_to_cpu(true)).unwrap();
            assert_eq!(trainer.device(), Device::Cpu);
            assert_eq!(trainer.fallback_reason(), Some(message.as_str()));
            step(&mut trainer, &reference().batches[0], 0.05).unwrap();
        }
        // On a machine with a card it has to train.
        Ok(mut trainer) => {
            assert_eq!(trainer.fallback_reason(), None);
            let loss = step(&mut trainer, &reference().batches[0], 0.05).unwrap();
            assert_close(&[loss], &reference().losses[..1]);
        }
    }
}

#[test]
fn programs_that_contradict_themselves_are_refused() {
    let refuse = |change: &dyn Fn(&mut Program), parts: &[&str]| {
        let mut program = regression().build().unwrap();
        change(&mut program);
        let error = Trainer::new(&program, &options()).unwrap_err();
        assert!(matches!(error, Error::Program { .. }), "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{error}");
        }
    };
    refuse(&|p| p.procedures.clear(), &["regression", "0 procedures"]);
    refuse(&|p| p.procedures[1].name = "step".into(), &["two of its procedures", "`step`"]);
    refuse(&|p| p.state[1].name = "w".into(), &["two of its state tensors"]);
    refuse(&|p| p.state[0].dims = vec![3, 1], &["`w`", "float32 [3, 1]"]);
    refuse(&|p| p.state[2].dims = vec![2], &["`step`", "`m_w`", "float32 [2, 1]"]);
    refuse(&|p| p.state[2].element = Element::Int64, &["`m_w`", "int64"]);
    refuse(&|p| p.procedures[0].state_inputs[0].0 = "v".into(), &["no input `v`"]);
    refuse(&|p| p.procedures[0].state_outputs[0].1 = "v".into(), &["`v`, which is not one"]);
    refuse(&|p| p.procedures[0].state_outputs[0].1 = "b".into(), &["replaces", "`b` twice"]);
    refuse(&|p| p.procedures[0].guards = vec!["lost".into()], &["no output `lost`"]);
    refuse(&|p| p.procedures[0].guards = vec!["w.next".into()], &["guard `w.next`"]);
    let mut program = regression().build().unwrap();
    program.procedures[2].model = b"no graph"[..].into();
    let message = Trainer::new(&program, &options()).unwrap_err().to_string();
    assert!(message.contains("accumulate"), "{message}");
}

#[test]
fn a_trainer_moves_between_threads() {
    let mut trainer = trainer();
    let batch = &reference().batches[0];
    let here = step(&mut trainer, batch, 0.05).unwrap();
    let there = std::thread::scope(|scope| {
        let mut other = self::trainer();
        scope.spawn(move || step(&mut other, batch, 0.05).unwrap()).join().unwrap()
    });
    assert_eq!(here, there);
}

#[test]
fn memory_that_runs_out_is_an_error() {
    // A state tensor of 2^60 bytes, and a product of 2^30 by 2^30.
    let mut program = regression().build().unwrap();
    program.state[2].dims = vec![1 << 29, 1 << 29];
    let error = Trainer::new(&program, &options()).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    assert!(error.to_string().contains("`m_w`"), "{error}");

    let mut g = Graph::new("step", Lowering::Standard);
    let x = g.input("x", ElementType::Float32, shape!["n", 1]).unwrap();
    let row = g.transpose(x, &[1, 0]).unwrap();
    let product = g.mul(x, row).unwrap();
    let product = g.mul(product, product).unwrap();
    let sum = g.reduce_sum(product, 0).unwrap();
    let sum = g.reduce_sum(sum, 1).unwrap();
    g.output("loss", sum).unwrap();
    let mut builder = ProgramBuilder::new("large");
    builder.procedure(ProcedureGraph::new("step", g)).unwrap();
    for arena in [Arena::Engine, Arena::None] {
        let mut trainer = Trainer::new(&builder.build().unwrap(), &options().arena(arena)).unwrap();
        let error = trainer.step(&[("x", Array2::<f32>::ones((1 << 24, 1)).into())]).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }), "{arena:?}: {error}");
        assert!(error.to_string().contains("[16777216, 1]"), "{error}");
        // The trainer is still good.
        let small = trainer.step(&[("x", Array2::<f32>::ones((2, 1)).into())]).unwrap();
        assert_eq!(small.loss().unwrap(), 4.0);
    }
}
