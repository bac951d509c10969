//! A head as operators after the embedding.

use offshoot::adapters::calibration::Calibration;
use offshoot::adapters::{Head, HeadFile};
use offshoot::bundle::Manifest;
use onnx_protobuf::TensorProto;

use super::numbers::{matrix, row};
use super::{AnyHead, FuseOptions, batch, calibrated, known, mixture, neighbors, others};
use crate::error::{Error, Result};
use crate::graph::{Attribute, ElementType, Graph, Tensor, TensorData, TensorType, Value};
use crate::shape;

/// ONNX's code of strings.
const STRING: ElementType = ElementType::Other(8);

/// What a head gives, by name.
type Results = Vec<(&'static str, Value)>;

/// Appends `head` to `embedding` `[batch, width]`, makes its results outputs, and returns the
/// names of all outputs.
pub(super) fn append(
    g: &mut Graph,
    embedding: Value,
    manifest: &Manifest,
    head: AnyHead<'_>,
    options: &FuseOptions,
) -> Result<Vec<String>> {
    let x = cut(g, embedding, manifest, head.encoder().dimensions)?;
    if options.calibration.is_some() && !matches!(head, AnyHead::Classes(_)) {
        return Err(Error::Head(
            "it is no head of classes and has no probabilities to calibrate".to_owned(),
        ));
    }
    let mut results = match head {
        AnyHead::Classes(head) => classes(g, x, head, options.calibration.as_ref())?,
        AnyHead::Numbers(head) => others::numbers(g, x, &head.fitted)?,
        AnyHead::Labels(head) => others::labels(g, x, &head.fitted)?,
    };
    if let Some(rejection) = &options.rejection {
        let (score, known) = g.in_scope("known", |g| known::answer(g, x, rejection))?;
        results.extend([("known", known), ("known_score", score)]);
    }
    let mut outputs = vec!["embedding".to_owned()];
    for (name, value) in results {
        g.free_name(name);
        g.output(name, value)?;
        outputs.push(name.to_owned());
    }
    Ok(outputs)
}

/// The most likely class of embeddings `x` `[batch, dimensions]`, and the probability of each.
fn classes(
    g: &mut Graph,
    x: Value,
    head: &HeadFile,
    calibration: Option<&Calibration>,
) -> Result<Results> {
    let mut probabilities = match &head.head {
        Head::Auto(head) => mixture::probabilities(g, x, head)?,
        Head::NearestNeighbors(head) => neighbors::votes(g, x, head)?,
        Head::Cache(head) => neighbors::cache(g, x, head)?,
        _ => {
            let logits = logits(g, x, head, calibration.is_some())?;
            g.softmax(logits, -1)?
        }
    };
    if let Some(calibration) = calibration {
        let classes = head.head.classes().len();
        probabilities = g.in_scope("calibration", |g| {
            calibrated::probabilities(g, probabilities, calibration, classes)
        })?;
    }
    // Before rounding, which makes votes equal that are not.
    let index = TensorType::new(ElementType::Int64, vec![batch()]);
    let attributes = vec![Attribute::int("axis", -1), Attribute::int("keepdims", 0)];
    let index = g.push("ArgMax", &[probabilities], attributes, index)?;
    let probabilities = g.cast(probabilities, ElementType::Float32)?;
    let names = names(g, head.head.classes().names())?;
    let label = TensorType::new(STRING, vec![batch()]);
    let label = g.push("Gather", &[names, index], vec![], label)?;
    Ok(vec![("label", label), ("label_index", index), ("probabilities", probabilities)])
}

/// The leading dimensions, of unit length again where the encoder's embeddings are.
fn cut(g: &mut Graph, embedding: Value, manifest: &Manifest, width: usize) -> Result<Value> {
    if width == manifest.embedding_size {
        return Ok(embedding);
    }
    let x = g.slice(embedding, 1, 0, width)?;
    if manifest.normalized { g.unit_norm(x) } else { Ok(x) }
}

/// Scores `[batch, classes]` whose softmax is the head's probabilities; float64 if they are to
/// be `exact`, since what calibration does to small probabilities would show their rounding.
fn logits(g: &mut Graph, x: Value, head: &HeadFile, exact: bool) -> Result<Value> {
    let linear = head.head.linear_logits().ok_or_else(|| {
        Error::Head(format!(
            "a head of the kind {} cannot be fused: learn one of another kind, such as auto",
            head.head.kind()
        ))
    })?;
    if exact {
        let x = g.cast(x, ElementType::Float64)?;
        let weight = matrix(g, "weight", &linear.coefficients.t().to_owned())?;
        let bias = row(g, "bias", &linear.intercepts)?;
        return g.linear(x, weight, Some(bias));
    }
    let (classes, width) = linear.coefficients.dim();
    let weight: Vec<f32> = linear.coefficients.t().iter().map(|&v| v as f32).collect();
    let bias: Vec<f32> = linear.intercepts.iter().map(|&v| v as f32).collect();
    if weight.iter().chain(&bias).any(|v| !v.is_finite()) {
        return Err(Error::Head("its coefficients do not fit 32-bit numbers".to_owned()));
    }
    let weight = g.initializer("weight", Tensor::from_f32(&[width, classes], &weight))?;
    let bias = g.initializer("bias", Tensor::from_f32(&[classes], &bias))?;
    g.linear(x, weight, Some(bias))
}

/// The names of the classes, string `[classes]`.
fn names(g: &mut Graph, names: &[String]) -> Result<Value> {
    let proto = TensorProto {
        dims: vec![names.len() as i64],
        data_type: STRING.code(),
        string_data: names.iter().map(|name| name.clone().into_bytes()).collect(),
        ..Default::default()
    };
    let value = g.initializer(
        "classes",
        Tensor {
            element: STRING,
            dims: vec![names.len()],
            data: TensorData::Proto(Box::new(proto)),
        },
    )?;
    g.declare_type(value, TensorType::new(STRING, shape![names.len()]));
    Ok(value)
}
