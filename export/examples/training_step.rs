//! Writes the training step of any ONNX file that computes a loss: forward, backward and
//! AdamW as one graph of standard operators.
//!
//!     cargo run --release -p offshoot-export --example training_step -- \
//!         MODEL.onnx LOSS STEP.onnx [DIMENSION=SIZE …] [--recompute cheap|blocks]
//!
//! Every floating-point initializer of more than one element is trained, running statistics
//! excepted. `STEP.onnx.json` lists the state: input, output, dimensions.

use std::path::Path;

use offshoot_export::graph::Value;
use offshoot_export::graph::external::Layout;
use offshoot_export::graph::read::read;
use offshoot_export::training::optimizers::AdamW;
use offshoot_export::training::{Recompute, TrainingOptions, TrainingStep};
use onnx_protobuf::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut recompute = Recompute::Nothing;
    if let Some(at) = arguments.iter().position(|argument| argument == "--recompute") {
        let said: Vec<String> = arguments.drain(at..).collect();
        recompute = match said.get(1).map(String::as_str) {
            Some("cheap") => Recompute::Cheap,
            Some("blocks") => Recompute::Blocks,
            _ => return Err("--recompute takes cheap or blocks, and comes last".into()),
        };
    }
    let [model, loss, output, dimensions @ ..] = &arguments[..] else {
        return Err(
            "usage: training_step MODEL.onnx LOSS STEP.onnx [DIMENSION=SIZE …] [--recompute …]"
                .into(),
        );
    };
    let mut graph = read(Path::new(model))?.graph;
    for dimension in dimensions {
        let (name, size) = dimension.split_once('=').ok_or("a dimension is NAME=SIZE")?;
        graph.bind_dim(name, size.parse()?);
    }
    graph.upgrade()?;
    graph.infer_types()?;
    let loss = graph.output_named(loss).ok_or_else(|| format!("there is no output `{loss}`"))?;
    let trained = graph.initializers().iter().filter(|(value, tensor)| {
        tensor.element.is_float()
            && tensor.elements().is_some_and(|count| count > 1)
            && !graph.value_name(*value).contains("running_")
    });
    let parameters: Vec<Value> = trained.map(|(value, _)| *value).collect();
    let options = TrainingOptions { recompute, ..TrainingOptions::default() };
    let step = TrainingStep::new(graph, loss, &parameters, &AdamW::default(), &options)?;
    let state: Vec<_> =
        step.state.iter().map(|state| (&state.name, &state.output, &state.initial.dims)).collect();
    std::fs::write(format!("{output}.json"), serde_json::to_vec(&state)?)?;
    let layout = Layout::inside(&step.graph)?;
    std::fs::write(output, step.graph.to_model(&layout)?.write_to_bytes()?)?;
    println!("{output}: {} parameters, {} operators", parameters.len(), step.graph.nodes().len());
    Ok(())
}
