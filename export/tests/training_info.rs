//! A step as ONNX's own training information: written, checked by the `onnx` package, read back.
//!
//! `reference/training_info/step.onnx` is what this crate writes; `check.py` beside it holds that
//! file to `onnx.checker`, runs it with ONNX's reference evaluator and compares with PyTorch.
//! `OFFSHOOT_WRITE=1` writes the file anew.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2};
use offshoot::trainer::{StateKind, Trainer, TrainerOptions};
use offshoot_export::graph::{ElementType, Graph, Lowering, Tensor};
use offshoot_export::shape;
use offshoot_export::training::optimizers::AdamW;
use offshoot_export::training::{LEARNING_RATE, TrainingOptions, TrainingStep, losses};
use onnx_protobuf::{Message, ModelProto};

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/training_info/step.onnx")
}

fn numbers(count: usize, step: usize) -> Vec<f32> {
    (0..count).map(|i| (i * step % 17) as f32 / 17.0 - 0.45).collect()
}

/// Three inputs, five hidden units, four classes.
fn step() -> TrainingStep {
    let mut g = Graph::new("classifier", Lowering::Standard);
    let x = g.input("x", ElementType::Float32, shape!["batch", 3]).unwrap();
    let w1 = g.initializer("w1", Tensor::from_f32(&[3, 5], &numbers(15, 5))).unwrap();
    let b1 = g.initializer("b1", Tensor::from_f32(&[5], &numbers(5, 3))).unwrap();
    let w2 = g.initializer("w2", Tensor::from_f32(&[5, 4], &numbers(20, 7))).unwrap();
    let hidden = g.linear(x, w1, Some(b1)).unwrap();
    let hidden = g.tanh(hidden).unwrap();
    let logits = g.matmul(hidden, w2).unwrap();
    g.output("logits", logits).unwrap();
    let labels = g.input("labels", ElementType::Int64, shape!["batch"]).unwrap();
    let loss = losses::cross_entropy(&mut g, logits, labels, &Default::default()).unwrap();
    let options = TrainingOptions { average_decay: Some(0.9), ..TrainingOptions::default() };
    TrainingStep::new(g, loss, &[w1, b1, w2], &AdamW::default(), &options).unwrap()
}

/// Losses of four steps and the state after them.
fn trained(step: TrainingStep) -> (Vec<f32>, BTreeMap<String, Vec<f32>>) {
    let program = step.program("classifier").unwrap().build().unwrap();
    let options = TrainerOptions::new().engine(common::engine());
    let mut trainer = Trainer::new(&program, &options).unwrap();
    let x = Array2::from_shape_vec((6, 3), numbers(18, 11)).unwrap();
    let labels: Array1<i64> = (0..6).map(|i| i % 4).collect();
    let losses = (0..4).map(|_| {
        let given =
            [("x", (&x).into()), ("labels", (&labels).into()), (LEARNING_RATE, 0.05f32.into())];
        trainer.step(&given).unwrap().loss().unwrap()
    });
    let losses = losses.collect();
    let parameters = trainer.parameters().map(|(name, value)| {
        (name.to_owned(), value.unwrap().array::<f32>().unwrap().iter().copied().collect())
    });
    let parameters = parameters.collect();
    (losses, parameters)
}

#[test]
fn the_file_that_python_checks_is_what_is_written() {
    let mut model = step().to_training_model(&["logits"]).unwrap();
    model.producer_version.clear();
    let bytes = model.write_to_bytes().unwrap();
    if std::env::var_os("OFFSHOOT_WRITE").is_some() {
        std::fs::write(file(), &bytes).unwrap();
    }
    let expected = ModelProto::parse_from_bytes(&std::fs::read(file()).unwrap()).unwrap();
    assert!(model == expected, "run with OFFSHOOT_WRITE=1, then check.py");
}

#[test]
fn a_step_that_is_read_back_trains_as_the_one_that_was_written() {
    let read = TrainingStep::from_training_model(&file()).unwrap();
    let kind = |name: &str| read.state.iter().find(|s| s.name == name).map(|state| state.kind);
    assert_eq!(kind("w1"), Some(StateKind::Parameter));
    assert_eq!(kind("w1.exp_avg"), Some(StateKind::Optimizer));
    assert_eq!(kind("w1.average"), Some(StateKind::Average));
    assert_eq!(kind("step"), Some(StateKind::Other));
    assert_eq!(trained(read), trained(step()));
}

#[test]
fn what_is_no_training_model_is_refused() {
    let refusal = |outputs: &[&str]| step().to_training_model(outputs).unwrap_err().to_string();
    assert!(refusal(&[]).contains("needs an output"));
    assert!(refusal(&["embedding"]).contains("no output `embedding`"));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.onnx");
    let read = |change: &dyn Fn(&mut ModelProto)| {
        let mut model = step().to_training_model(&["logits"]).unwrap();
        change(&mut model);
        std::fs::write(&path, model.write_to_bytes().unwrap()).unwrap();
        TrainingStep::from_training_model(&path).unwrap_err().to_string()
    };
    assert!(read(&|m| m.training_info.clear()).contains("0 training algorithms"));
    assert!(read(&|m| m.training_info[0].algorithm.clear()).contains("no algorithm"));
    let output = read(&|m| m.training_info[0].update_binding[0].value = "none".into());
    assert!(output.contains("`none`, which is no output"), "{output}");
    let tensor = read(&|m| m.training_info[0].update_binding[0].key = "none".into());
    assert!(tensor.contains("`none`, which is no tensor"), "{tensor}");
    let twice = read(&|m| {
        let node = m.graph.node[0].clone();
        m.training_info[0].algorithm.mut_or_insert_default().node.push(node);
    });
    assert!(twice.contains("its training algorithm"), "{twice}");
}
