//! Types of operators against the node test cases of the `onnx` package.

mod common;
#[allow(dead_code)]
mod operator_case;

use offshoot_export::graph::{Dim, ElementType, Graph, Lowering, Tensor, Value};
use serde_json::Value as Json;

fn element(name: &str) -> ElementType {
    match name {
        "float32" => ElementType::Float32,
        "float64" => ElementType::Float64,
        "float16" => ElementType::Float16,
        "int64" => ElementType::Int64,
        "int32" => ElementType::Int32,
        "int8" => ElementType::Int8,
        "uint8" => ElementType::Uint8,
        "bool" => ElementType::Bool,
        other => panic!("the type {other}"),
    }
}

fn sizes(row: &Json) -> Vec<usize> {
    row[1].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect()
}

/// Adds an input: a tensor where its elements are known.
fn input(g: &mut Graph, at: usize, row: &Json) -> Option<Value> {
    let kind = element(row.get(0)?.as_str().unwrap());
    let shape = sizes(row);
    let name = format!("input.{at}");
    Some(match row.get(2) {
        Some(values) if kind == ElementType::Int64 => {
            let values: Vec<i64> =
                values.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
            g.initializer(&name, Tensor::from_i64(&shape, &values)).unwrap()
        }
        Some(values) => {
            let values: Vec<f64> =
                values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            g.initializer(&name, Tensor::from_f64(kind, &shape, &values).unwrap()).unwrap()
        }
        None => g.input(&name, kind, shape.into_iter().map(Dim::from).collect()).unwrap(),
    })
}

/// What is wrong with a case.
fn check(case: &Json) -> Result<(), String> {
    let mut g = Graph::new("case", Lowering::Standard);
    let rows = case[4].as_array().unwrap();
    let inputs: Vec<Option<Value>> =
        rows.iter().enumerate().map(|(at, row)| input(&mut g, at, row)).collect();
    let attributes = case[3].as_object().unwrap();
    let attributes =
        attributes.iter().map(|(name, value)| operator_case::attribute(name, value)).collect();
    let expected = case[5].as_array().unwrap();
    let made = g
        .op_outputs(case[1].as_str().unwrap(), &inputs, attributes, expected.len())
        .map_err(|error| error.to_string())?;
    if made.len() != expected.len() {
        return Err(format!("{} outputs, not {}", made.len(), expected.len()));
    }
    for (value, row) in made.into_iter().zip(expected) {
        let kind = g.tensor_type(value).unwrap();
        let shape = sizes(row);
        let fits = kind.element == element(row[0].as_str().unwrap())
            && kind.rank() == shape.len()
            && kind
                .shape
                .iter()
                .zip(&shape)
                .all(|(dim, size)| dim.fixed().is_none_or(|fixed| fixed == *size));
        if !fits {
            return Err(format!("{kind}, not {row}"));
        }
    }
    Ok(())
}

#[test]
fn operators_give_the_types_of_the_specification() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/node_types/types.json");
    let cases: Json = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case[0].as_str().unwrap(), check(case).err()?)))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
