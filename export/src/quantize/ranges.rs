//! Ranges of activations, from the graph run on calibration inputs.

use offshoot::{EmbedOptions, Encoder, Engine};
use ort::session::Session;
use ort::value::{DynValue, Tensor};

use super::layers::Layer;
use crate::derive::Derivation;
use crate::error::{Error, Result};
use crate::graph::{Graph, Value};
use crate::parity::{Input, Inputs, OnProgress};

/// How the range of activations is chosen from what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Ranges {
    /// From the least to the largest value.
    #[default]
    MinMax,
    /// With this share of the values, in percent, left of each end cut off the ends:
    /// 99.99 cuts one value in 10,000 in all.
    Percentile(f64),
    /// The range with the least squared error of rounding and cutting.
    LeastError,
}

/// Bins of a histogram between the least and the largest value.
const BINS: usize = 2048;

/// What was seen of one activation.
#[derive(Debug, Clone)]
struct Seen {
    value: Value,
    name: String,
    low: f32,
    high: f32,
    bins: Vec<u64>,
}

/// What a layer reads and, of a convolution, gives.
fn watched(layer: &Layer) -> impl Iterator<Item = Value> {
    std::iter::once(layer.input).filter(|_| layer.multiplies()).chain(layer.output)
}

/// Least and largest value of what a layer reads and, of a convolution, gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    pub(super) input: (f32, f32),
    pub(super) output: Option<(f32, f32)>,
}

/// The ranges of each layer, over `inputs`.
pub(super) fn measure(
    graph: &Graph,
    layers: &[Layer],
    work: &Derivation,
    encoder: &Encoder,
    inputs: &[Input],
    how: Ranges,
    progress: OnProgress<'_>,
) -> Result<Vec<Span>> {
    let mut session = open(graph, layers, work)?;
    let mut seen: Vec<Seen> = Vec::new();
    for value in layers.iter().flat_map(watched) {
        if !seen.iter().any(|s| s.value == value) {
            seen.push(Seen {
                value,
                name: graph.value_name(value).to_owned(),
                low: f32::INFINITY,
                high: f32::NEG_INFINITY,
                bins: vec![0; BINS],
            });
        }
    }
    // Histograms need the ends first.
    let passes = if how == Ranges::MinMax { 1 } else { 2 };
    let total = (passes * inputs.len()) as u64;
    for pass in 0..passes {
        for (i, input) in inputs.iter().enumerate() {
            work.check_stop()?;
            progress("Measuring activations", (pass * inputs.len() + i) as u64, total);
            run(&mut session, tensors(encoder, input)?, &mut seen, pass == 1)?;
        }
    }
    progress("Measuring activations", total, total);
    let range = |value: Value| {
        let seen = seen.iter().find(|s| s.value == value);
        seen.map_or((0.0, 0.0), |seen| seen.range(how))
    };
    let span = |layer: &Layer| Span { input: range(layer.input), output: layer.output.map(range) };
    Ok(layers.iter().map(span).collect())
}

/// Opens the graph with what is watched as outputs.
fn open(graph: &Graph, layers: &[Layer], work: &Derivation) -> Result<Session> {
    let mut graph = graph.clone();
    for value in layers.iter().flat_map(watched) {
        if !graph.inputs().contains(&value) {
            graph.expose(value);
        }
    }
    let path = work.write_model("calibration", &graph)?;
    let engine = Engine::load()?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Session::builder(engine.environment())
        .and_then(|builder| Ok(builder.with_intra_threads(threads)?))
        .and_then(|mut builder| builder.commit_from_file(&path))
        .map_err(failed)
}

fn failed(error: ort::Error) -> Error {
    Error::Quantize(format!("ONNX Runtime could not run the graph for calibration: {error}"))
}

/// The graph's inputs for one input.
pub(crate) fn tensors(encoder: &Encoder, input: &Input) -> Result<Vec<(&'static str, DynValue)>> {
    Ok(match Inputs::of(encoder, [input])? {
        Inputs::Texts(texts) => {
            let text = texts.first().copied().unwrap_or("");
            let ids = encoder.tokenize(text, &EmbedOptions::default())?.ids;
            let mask = vec![1i64; ids.len()];
            let ids: Vec<i64> = ids.into_iter().map(i64::from).collect();
            let shape = [1, ids.len()];
            let ids = Tensor::from_array((shape, ids)).map_err(failed)?;
            let mask = Tensor::from_array((shape, mask)).map_err(failed)?;
            vec![("input_ids", ids.into_dyn()), ("attention_mask", mask.into_dyn())]
        }
        Inputs::Images(images) => {
            let tensor = images.into_iter().next().map(|image| {
                let shape = [1, image.height(), image.width(), image.channels()];
                Tensor::from_array((shape, image.into_pixels()))
            });
            tensor
                .transpose()
                .map_err(failed)?
                .map(|t| ("pixels", t.into_dyn()))
                .into_iter()
                .collect()
        }
        Inputs::Signals(windows) => {
            let (count, channels, length) = windows.dim();
            let values: Vec<f32> = windows.into_iter().collect();
            let tensor = Tensor::from_array(([count, channels, length], values)).map_err(failed)?;
            vec![("signals", tensor.into_dyn())]
        }
    })
}

/// Runs one input and looks at its activations.
fn run(
    session: &mut Session,
    inputs: Vec<(&'static str, DynValue)>,
    seen: &mut [Seen],
    count: bool,
) -> Result<()> {
    let outputs = session.run(inputs).map_err(failed)?;
    for seen in seen {
        let Some(output) = outputs.get(&seen.name) else { continue };
        let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        seen.look(values, count);
    }
    Ok(())
}

impl Seen {
    fn look(&mut self, values: &[f32], count: bool) {
        if !count {
            for value in values.iter().filter(|value| value.is_finite()) {
                (self.low, self.high) = (self.low.min(*value), self.high.max(*value));
            }
            return;
        }
        let width = (self.high - self.low) / BINS as f32;
        for value in values.iter().filter(|value| value.is_finite()) {
            let bin = if width > 0.0 { ((value - self.low) / width) as usize } else { 0 };
            if let Some(bin) = self.bins.get_mut(bin.min(BINS - 1)) {
                *bin += 1;
            }
        }
    }

    fn range(&self, how: Ranges) -> (f32, f32) {
        if self.low > self.high {
            return (0.0, 0.0);
        }
        match how {
            Ranges::MinMax => (self.low, self.high),
            Ranges::Percentile(kept) => self.percentile(kept),
            Ranges::LeastError => self.least_error(),
        }
    }

    fn edge(&self, bin: usize) -> f32 {
        self.low + (self.high - self.low) * bin as f32 / BINS as f32
    }

    fn percentile(&self, kept: f64) -> (f32, f32) {
        let total: u64 = self.bins.iter().sum();
        let cut = (total as f64 * (1.0 - kept.clamp(0.0, 100.0) / 100.0) / 2.0) as u64;
        let first = |bins: &mut dyn Iterator<Item = &u64>| {
            let mut sum = 0;
            bins.take_while(|bin| {
                sum += **bin;
                sum <= cut
            })
            .count()
        };
        let low = first(&mut self.bins.iter()).min(BINS - 1);
        let high = BINS - first(&mut self.bins.iter().rev()).min(BINS - 1);
        if low < high { (self.edge(low), self.edge(high)) } else { (self.low, self.high) }
    }

    /// Ends are moved in by steps of a hundredth, the farther one first, as long as the
    /// error becomes smaller.
    fn least_error(&self) -> (f32, f32) {
        let error = |low: f32, high: f32| -> f64 {
            let step = f64::from(high - low) / 255.0;
            let middle = |bin: usize| f64::from(self.edge(bin) + self.edge(bin + 1)) / 2.0;
            self.bins
                .iter()
                .enumerate()
                .map(|(bin, count)| {
                    let value = middle(bin);
                    let cut = (f64::from(low) - value).max(value - f64::from(high)).max(0.0);
                    *count as f64 * if cut > 0.0 { cut * cut } else { step * step / 12.0 }
                })
                .sum()
        };
        let mut best = (error(self.low, self.high), self.low, self.high);
        for i in 0..100u8 {
            for j in 0..100u8 {
                let (low, high) = (
                    self.low * (1.0 - f32::from(i) / 100.0),
                    self.high * (1.0 - f32::from(j) / 100.0),
                );
                if low < high {
                    let found = error(low, high);
                    if found < best.0 {
                        best = (found, low, high);
                    }
                }
            }
        }
        (best.1, best.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_cut_as_asked() {
        let mut graph = Graph::new("g", crate::graph::Lowering::Standard);
        let value = graph.scalar(1.0).unwrap();
        let mut seen = Seen {
            value,
            name: String::new(),
            low: f32::INFINITY,
            high: f32::NEG_INFINITY,
            bins: vec![0; BINS],
        };
        // 9,999 values of -1 to 1 and one of 100.
        let mut values: Vec<f32> = (0..9999).map(|i| (i as f32 / 4999.0) - 1.0).collect();
        values.push(100.0);
        seen.look(&values, false);
        seen.look(&values, true);
        assert_eq!(seen.range(Ranges::MinMax), (-1.0, 100.0));
        let (low, high) = seen.range(Ranges::Percentile(99.9));
        assert!((-1.0..-0.9).contains(&low) && (0.9..1.1).contains(&high), "{low} {high}");
        // Steps of 0.4 for ten thousand values are less of an error than a cut of 99.
        let (_, high) = seen.range(Ranges::LeastError);
        assert!(high > 1.1, "{high}");
    }
}
