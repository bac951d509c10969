//! Runs a graph in ONNX Runtime.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use offshoot::Engine;
use offshoot_export::graph::ElementType;
use ort::session::{Session, SessionInputValue};
use ort::value::DynValue;

use super::{Array, Case, Input, dynamic};

/// A graph that ONNX Runtime has opened.
pub(crate) struct Running {
    session: Session,
}

impl Running {
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        let engine = ENGINE.get_or_init(crate::common::engine);
        let session = Session::builder(engine.environment())
            .and_then(|builder| Ok(builder.with_intra_threads(1)?))
            .and_then(|mut builder| builder.commit_from_file(folder.join("model.onnx")))
            .map_err(|error| error.to_string())?;
        Ok(Self { session })
    }

    /// All outputs, by name.
    pub(crate) fn run(
        &mut self,
        case: &Case,
        inputs: &[Option<Input>],
    ) -> Result<HashMap<String, Array>, String> {
        let mut given: Vec<(String, SessionInputValue<'_>)> = Vec::new();
        for (at, input) in inputs.iter().enumerate() {
            if let Some(input) = input.as_ref().filter(|input| !input.constant) {
                given.push((format!("input.{at}"), input.value().into()));
            }
        }
        let float = if case.is_double() { ElementType::Float64 } else { ElementType::Float32 };
        for (at, seed) in case.seeds.iter().enumerate() {
            if let Some(seed) = seed {
                given.push((format!("seed.{at}"), dynamic(float, seed).into()));
            }
        }
        let outputs = self.session.run(given).map_err(|error| error.to_string())?;
        Ok(outputs.iter().map(|(name, value)| (name.to_owned(), array(&value))).collect())
    }
}

fn array(value: &DynValue) -> Array {
    let shape = |shape: &ort::value::Shape| shape.iter().map(|&size| size as usize).collect();
    if let Ok((sizes, values)) = value.try_extract_tensor::<f64>() {
        return Array { shape: shape(sizes), values: values.to_vec() };
    }
    if let Ok((sizes, values)) = value.try_extract_tensor::<f32>() {
        return Array { shape: shape(sizes), values: values.iter().map(|&v| v.into()).collect() };
    }
    let (sizes, values) = value.try_extract_tensor::<i64>().expect("a tensor of numbers");
    Array { shape: shape(sizes), values: values.iter().map(|&v| v as f64).collect() }
}
