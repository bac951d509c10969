//! Differentiates an ONNX file by its floating-point initializers.
//!
//! `differentiate MODEL.onnx OUTPUT sum|mean FOLDER [DIMENSION=SIZE ...]` writes the graph
//! with one more output `NAME.grad` for each initializer `NAME` of one dimension or more
//! that the output depends on (others are named), as `FOLDER/model.onnx` and `FOLDER/weights.bin`: the
//! gradient of the sum or the mean of the output.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use offshoot_export::differentiate::gradients;
use offshoot_export::graph::Value;
use offshoot_export::graph::external::{Layout, WEIGHTS_FILE};
use offshoot_export::graph::read::read;
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{AttributeProto, Message};

const USAGE: &str = "usage: differentiate MODEL.onnx OUTPUT sum|mean FOLDER [DIMENSION=SIZE ...]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(count) => {
            println!("{count} gradients");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<usize, Box<dyn Error>> {
    let [model, output, reduction, folder, dimensions @ ..] = arguments else {
        return Err(USAGE.into());
    };
    let mut g = read(Path::new(model))?.graph;
    for dimension in dimensions {
        let (name, size) = dimension.split_once('=').ok_or(USAGE)?;
        g.bind_dim(name, size.parse()?);
    }
    g.upgrade()?;
    g.to_standard()?;
    g.infer_types()?;
    let value = g.outputs().iter().copied().find(|&value| g.value_name(value) == output);
    let value = value.ok_or_else(|| format!("the graph has no output `{output}`"))?;
    let reduction = match reduction.as_str() {
        "sum" => "ReduceSum",
        "mean" => "ReduceMean",
        _ => return Err(USAGE.into()),
    };
    let flat = AttributeProto {
        name: "keepdims".into(),
        type_: AttributeType::INT.into(),
        ..Default::default()
    };
    let loss = g.op(reduction, &[value], vec![flat])?;
    let of: Vec<Value> = g
        .initializers()
        .iter()
        .filter(|(_, tensor)| tensor.element.is_float() && !tensor.dims.is_empty())
        .map(|(value, _)| *value)
        .filter(|&value| match gradients(&mut g.clone(), loss, &[value]) {
            Ok(_) => true,
            Err(error) => {
                eprintln!("left out `{}`: {error}", g.value_name(value));
                false
            }
        })
        .collect();
    let found = gradients(&mut g, loss, &of)?;
    for (&value, gradient) in of.iter().zip(found) {
        let name = format!("{}.grad", g.value_name(value));
        g.output(&name, gradient)?;
    }
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    let layout = Layout::new(&g)?;
    let mut weights = BufWriter::new(File::create(folder.join(WEIGHTS_FILE))?);
    layout.write(&g, &mut weights, &mut |_| {})?;
    weights.flush()?;
    std::fs::write(folder.join("model.onnx"), g.to_model(&layout)?.write_to_bytes()?)?;
    Ok(of.len())
}
