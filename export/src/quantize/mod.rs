//! Smaller and faster encoders: weights, and where asked for activations, of fewer bits.
//!
//! | precision | weights | activations | operators |
//! | --- | --- | --- | --- |
//! | `fp16` | 16-bit floats, widened when the model is opened | float32 | ONNX |
//! | `int8` | signed bytes, a scale a column | bytes, a scale a batch | ONNX |
//! | `int8-static` | the same | bytes, a range known beforehand | ONNX (QDQ) |
//! | `int8-weights` | bytes in blocks | float32 | ONNX Runtime |
//! | `int4-weights` | 4 bits in blocks, with zero points | float32 | ONNX Runtime |
//!
//! Convolutions have a scale an output channel. With `int8-static` they become
//! `QLinearConv`, whose output is bytes too, and with `int8` `ConvInteger`, unless their
//! channels are in groups, where ONNX Runtime's is slower than float32. It has none of
//! weights in blocks: with `int8-weights` and `int4-weights` they are stored as bytes and
//! widened when the model is opened.
//!
//! Tables of embeddings are signed bytes with a scale a row, or 16-bit floats with
//! `fp16`. Biases and normalisations stay float32, but a convolution's bias is a 32-bit
//! integer with `int8-static`.
//!
//! With `int8` the scale of activations is that of all inputs that are computed together,
//! so an embedding depends a little on its batch; with every other precision it does not.

mod choose;
mod convolution;
mod layers;
mod numbers;
mod precision;
mod ranges;
mod rewrite;
mod stored;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use offshoot::WeightCache;
use offshoot::bundle::Change;
use serde::Serialize;

use self::choose::Trials;
use self::layers::{Kind, Layer};
pub use self::precision::Precision;
pub use self::ranges::Ranges;
pub(crate) use self::ranges::tensors;
use self::rewrite::Form;
use crate::derive::Derivation;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::parity::{self, Input, OnProgress, ParityOptions, ParityReport, Sample};

/// How a bundle is quantised.
#[derive(Debug, Clone)]
pub struct QuantizeOptions {
    /// What weights and activations become.
    pub precision: Precision,
    /// Elements of a block that share a scale, for the precisions with blocks: 16, 32, 64,
    /// 128 or 256.
    pub block: usize,
    /// How ranges of activations are chosen, for `int8-static`.
    pub ranges: Ranges,
    /// Inputs on which ranges and the sensitivity of layers are measured; other ones than
    /// [`samples`](Self::samples), which judge the result.
    pub calibration: Vec<Input>,
    /// Inputs on which the result is compared with its source.
    pub samples: Vec<Sample>,
    /// The smallest cosine that an input's two embeddings may have.
    pub min_cosine: f64,
    /// What is measured besides.
    pub parity: ParityOptions,
    /// Whether a file that stands at the target is replaced.
    pub overwrite: bool,
}

/// A quantised bundle that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantized {
    /// The bundle.
    pub path: PathBuf,
    /// Its precision.
    pub precision: Precision,
    /// Weights that were quantised.
    pub quantized: Vec<String>,
    /// Weights that kept more bits, since too much was lost without them; the most
    /// sensitive first.
    pub spared: Vec<String>,
    /// The comparison with its source.
    pub parity: ParityReport,
}

/// Share of the loss that is allowed which calibration texts may use up: other texts
/// lose a little more than those that were looked at.
const CALIBRATION_SHARE: f64 = 0.9;

/// Writes the encoder in `bundle` with fewer bits to the bundle `output`.
///
/// When the smallest cosine is below the bound on the calibration texts, layers are
/// spared, as few as possible. With `int8` and `int8-static` a spared product keeps its
/// activations in float32 (its weight is bytes still), with `int4-weights` it gets 8
/// bits, and else it stays as it is. The result is then compared with its source on the
/// samples; those that lose most are taken along when it has to be chosen anew.
///
/// # Errors
/// [`Error::Parity`] when the bound is not met on the samples; [`Error::Quantize`] when
/// the bundle is quantised already or has neither matrix products nor convolutions with
/// constant weights, or when samples are missing; [`Error::Archive`] when something stands at `output` and
/// overwriting was not allowed; [`Error::Runtime`]; [`Error::Io`];
/// [`Error::Interrupted`]. On every error `output` is as it was before.
pub fn quantize(
    bundle: &Path,
    output: &Path,
    options: &QuantizeOptions,
    progress: OnProgress<'_>,
) -> Result<Quantized> {
    check(options)?;
    let work = Derivation::begin(bundle, output, options.overwrite, options.parity.stop.clone())?;
    let graph = work.graph()?;
    let layers = quantizable(bundle, &graph, options.precision)?;
    let wanted = forms(&work, bundle, &graph, &layers, options, &mut *progress)?;
    let mut chosen = (wanted.clone(), Vec::new());
    let open = &options.parity.open;
    let mut trials = match options.calibration.is_empty() {
        true => None,
        false => Some(Trials::new(&work, &graph, &layers, open, &options.calibration)?),
    };
    let cached = WeightCache::Folder(work.folder.path().join("cache"));
    let open = open.clone().cache(cached);
    let source = parity::Source::embed(bundle, &options.samples, &options.parity, &mut *progress)?;
    for round in 0.. {
        if let Some(trials) = &mut trials {
            let instead: Vec<_> = layers.iter().map(|layer| instead(layer, options)).collect();
            let goal = 1.0 - CALIBRATION_SHARE * (1.0 - options.min_cosine);
            // What cannot be reached is refused with the figures of the samples.
            let found = trials.choose(&wanted, &instead, goal, &mut *progress)?;
            chosen = found.unwrap_or((wanted.clone(), Vec::new()));
        }
        let (forms, spared) = &chosen;
        let mut changed = graph.clone();
        rewrite::apply(&mut changed, &layers, forms)?;
        let (made, _) = work.write(
            &format!("made{round}.offshoot"),
            &changed,
            &change(&work, options, spared),
        )?;
        let after = source.against((&made, &open), &mut *progress)?;
        let last = round == ROUNDS || spared.len() == layers.len();
        match (after.check(options.min_cosine, &advice(options.precision)), &mut trials) {
            (Ok(()), _) => {
                let parity = source.report(after, &mut *progress)?;
                work.publish(&made, output, options.overwrite)?;
                return Ok(finished(output, options.precision, &layers, chosen.1, parity));
            }
            (Err(_), Some(trials)) if !last => trials.add(worst(&after.cosines, options))?,
            (Err(error), _) => return Err(error),
        }
    }
    Err(Error::Quantize("no form of the layers was found".into()))
}

/// Texts that judge the result and did not pass, taken along into the next trials.
const WORST: usize = 32;

/// How often layers are chosen anew, with such texts.
const ROUNDS: usize = 3;

fn worst(cosines: &[f64], options: &QuantizeOptions) -> impl Iterator<Item = Sample> {
    let mut order: Vec<(&f64, &Sample)> = cosines.iter().zip(&options.samples).collect();
    order.sort_by(|a, b| a.0.total_cmp(b.0));
    order.into_iter().take(WORST).map(|(_, sample)| sample.clone())
}

/// What a spared layer becomes.
fn instead(layer: &Layer, options: &QuantizeOptions) -> Form {
    match options.precision {
        Precision::Int8 | Precision::Int8Static if layer.multiplies() => Form::Bytes,
        Precision::Int8 | Precision::Int8Static => Form::Float16,
        Precision::Int4Weights if matches!(layer.kind, Kind::Convolution { .. }) => Form::Float32,
        Precision::Int4Weights => Form::Blocks { bits: 8, block: options.block },
        Precision::Int8Weights | Precision::Fp16 => Form::Float32,
    }
}

fn finished(
    output: &Path,
    precision: Precision,
    layers: &[Layer],
    spared: Vec<String>,
    parity: ParityReport,
) -> Quantized {
    let quantized = layers.iter().map(|layer| layer.name.clone());
    Quantized {
        path: output.to_owned(),
        precision,
        quantized: quantized.filter(|name| !spared.contains(name)).collect(),
        spared,
        parity,
    }
}

fn check(options: &QuantizeOptions) -> Result<()> {
    if !matches!(options.block, 16 | 32 | 64 | 128 | 256) {
        return Err(Error::Quantize(format!(
            "blocks have 16, 32, 64, 128 or 256 elements, not {}",
            options.block
        )));
    }
    if !(-1.0..=1.0).contains(&options.min_cosine) {
        return Err(Error::Quantize(format!(
            "the smallest cosine is a number from -1 to 1, not {}",
            options.min_cosine
        )));
    }
    let missing = |what: &str| Err(Error::Quantize(format!("there are no samples {what}")));
    if options.samples.is_empty() {
        return missing("to compare the encoders on; give real ones of the kind they will see");
    }
    if options.calibration.is_empty() && options.precision == Precision::Int8Static {
        return missing(
            "to calibrate with, which `int8-static` needs: a hundred real ones are enough",
        );
    }
    Ok(())
}

/// The layers of a graph that is not quantised yet.
fn quantizable(bundle: &Path, graph: &Graph, precision: Precision) -> Result<Vec<Layer>> {
    let refuse = |reason: String| Err(Error::Quantize(format!("{}: {reason}", bundle.display())));
    if let Some(reason) = layers::quantized_already(graph) {
        return refuse(format!(
            "it is quantised already ({reason}); start from its float32 source"
        ));
    }
    let layers = layers::find(graph);
    if !layers.iter().any(Layer::multiplies) {
        return refuse(
            "it has no matrix product or convolution with a float32 weight of its own, so there \
             is nothing to quantise"
                .into(),
        );
    }
    let (needed, operator) = match precision {
        Precision::Int8 => (11, "DynamicQuantizeLinear"),
        Precision::Int8Static => (13, "DequantizeLinear by columns"),
        _ => return Ok(layers),
    };
    if graph.opset() < needed {
        return refuse(format!(
            "its operator set is {}, and {operator} came with {needed}; export the encoder again \
             with a newer one",
            graph.opset()
        ));
    }
    Ok(layers)
}

/// The form of each layer that the precision asks for.
fn forms(
    work: &Derivation,
    bundle: &Path,
    graph: &Graph,
    layers: &[Layer],
    options: &QuantizeOptions,
    progress: OnProgress<'_>,
) -> Result<Vec<Form>> {
    let block = options.block;
    let one = match options.precision {
        Precision::Fp16 => Form::Float16,
        Precision::Int8 => Form::Dynamic,
        Precision::Int8Weights => Form::Blocks { bits: 8, block },
        Precision::Int4Weights => Form::Blocks { bits: 4, block },
        Precision::Int8Static => {
            let encoder = options.parity.open.open(bundle)?;
            let ranges = ranges::measure(
                graph,
                layers,
                work,
                &encoder,
                &options.calibration,
                options.ranges,
                progress,
            )?;
            let spans = layers.iter().zip(ranges);
            return Ok(spans
                .map(|(layer, span)| convolution::supported(layer, Form::Static { span }))
                .collect());
        }
    };
    Ok(layers.iter().map(|layer| convolution::supported(layer, one)).collect())
}

fn change(work: &Derivation, options: &QuantizeOptions, spared: &[String]) -> Change {
    let mut details = BTreeMap::new();
    if matches!(options.precision, Precision::Int8Weights | Precision::Int4Weights) {
        details.insert("block".to_owned(), options.block.to_string());
    }
    if options.precision == Precision::Int8Static {
        details.insert("calibration_texts".into(), options.calibration.len().to_string());
        details.insert("ranges".into(), format!("{:?}", options.ranges));
    }
    if !spared.is_empty() {
        details.insert("spared".into(), spared.join(" "));
    }
    Change {
        what: format!("quantize {}", options.precision),
        source_digest: work.source.digest().to_owned(),
        details,
    }
}

fn advice(precision: Precision) -> String {
    match precision {
        Precision::Fp16 => "lower the bound, or stay with float32",
        Precision::Int8 | Precision::Int8Static => {
            "give more calibration texts, so that sensitive layers are found and spared, try \
             int8-weights, or lower the bound"
        }
        Precision::Int8Weights => "try a smaller block or fp16, or lower the bound",
        Precision::Int4Weights => "try a smaller block or int8-weights, or lower the bound",
    }
    .into()
}
