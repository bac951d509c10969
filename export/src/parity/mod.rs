//! How far a changed encoder is from its source, on real samples: embeddings, few-shot
//! accuracy, size, speed and memory.

mod cosine;
mod few_shot;
mod memory;
mod sample;
mod speed;
mod table;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ndarray::Array2;
use offshoot::adapters::HeadKind;
use offshoot::bundle::Modality;
use offshoot::{Encoder, OpenOptions};
use serde::Serialize;

pub use cosine::Cosines;
pub(crate) use cosine::each;
pub use few_shot::{Draw, FewShot};
pub use memory::Memory;
pub(crate) use sample::Inputs;
pub use sample::{Input, Sample};
pub use speed::Speed;

use crate::archive::check_stop;
use crate::error::{Error, Result};

/// What is measured besides the embeddings, and how.
#[derive(Debug, Clone)]
pub struct ParityOptions {
    /// How both encoders are opened.
    pub open: OpenOptions,
    /// Draws of labelled samples, for the accuracy of a head; none leave it out. Indices
    /// are those of the samples, all of which need labels.
    pub draws: Vec<Draw>,
    /// The head that is fitted on each draw.
    pub head: HeadKind,
    /// Samples of a timed run, chosen evenly from the samples.
    pub timed_texts: usize,
    /// Timed runs of both encoders, in turn; 0 leaves speed and memory out.
    pub rounds: usize,
    /// Ends the work soon after it becomes true.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Default for ParityOptions {
    fn default() -> Self {
        Self {
            open: OpenOptions::new(),
            draws: Vec::new(),
            head: HeadKind::Logistic,
            timed_texts: 300,
            rounds: 5,
            stop: None,
        }
    }
}

/// A figure of the source and of the changed encoder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pair {
    /// The source's.
    pub before: f64,
    /// The changed encoder's.
    pub after: f64,
}

impl Pair {
    /// The second over the first.
    pub fn ratio(&self) -> f64 {
        self.after / self.before
    }
}

/// A changed encoder beside its source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParityReport {
    /// Digest of the source.
    pub source_digest: String,
    /// Digest of the changed encoder.
    pub digest: String,
    /// What the encoders read.
    pub modality: Modality,
    /// Number of samples.
    pub texts: usize,
    /// Cosines of the two embeddings of each sample.
    pub cosine: Cosines,
    /// Accuracy of heads fitted on either's embeddings.
    pub few_shot: Option<FewShot>,
    /// Sizes of the files in bytes.
    pub bytes: Pair,
    /// Samples a second.
    pub speed: Option<Speed>,
    /// Private memory in bytes, where the system tells.
    pub memory: Option<Memory>,
}

/// Progress of a comparison: what is done, how much of it is, and out of how much.
pub type OnProgress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// Samples that are embedded between two looks at the flag that stops.
const CHUNK: usize = 256;

/// Embeds samples `[samples, width]`.
pub(crate) fn embed(
    encoder: &Encoder,
    samples: &[Sample],
    what: &str,
    stop: Option<&AtomicBool>,
    progress: OnProgress<'_>,
) -> Result<Array2<f32>> {
    let mut values = Vec::with_capacity(samples.len() * encoder.dimensions());
    for (i, chunk) in samples.chunks(CHUNK).enumerate() {
        check_stop(stop)?;
        progress(what, (i * CHUNK) as u64, samples.len() as u64);
        let inputs = Inputs::of(encoder, chunk.iter().map(|sample| &sample.input))?;
        values.extend(inputs.embed(encoder)?.vectors().iter());
    }
    progress(what, samples.len() as u64, samples.len() as u64);
    Array2::from_shape_vec((samples.len(), encoder.dimensions()), values)
        .map_err(|error| Error::Quantize(format!("the embeddings have another size: {error}")))
}

/// Compares the bundle `changed` with `source` on `samples`. When the smallest cosine is
/// below `bound`, the comparison ends there with [`Error::Parity`].
///
/// `changed` is opened with the options beside it, so that its prepared weights may go
/// elsewhere than the source's.
///
/// # Errors
/// [`Error::Quantize`] when there are no samples or the encoders differ in width;
/// [`Error::Parity`]; [`Error::Runtime`]; [`Error::Interrupted`].
pub fn compare(
    source: &Path,
    changed: (&Path, &OpenOptions),
    samples: &[Sample],
    bound: f64,
    options: &ParityOptions,
    progress: OnProgress<'_>,
) -> Result<ParityReport> {
    let source = Source::embed(source, samples, options, &mut *progress)?;
    let after = source.against(changed, &mut *progress)?;
    after.check(bound, "choose another way to change it, or lower the bound")?;
    source.report(after, &mut *progress)
}

/// The source of a comparison, its samples embedded.
pub(crate) struct Source<'a> {
    path: &'a Path,
    encoder: Encoder,
    embeddings: Array2<f32>,
    samples: &'a [Sample],
    options: &'a ParityOptions,
}

/// A changed encoder, the samples embedded by it too.
pub(crate) struct Changed<'a> {
    path: &'a Path,
    open: &'a OpenOptions,
    encoder: Encoder,
    embeddings: Array2<f32>,
    pub(crate) cosine: Cosines,
    /// Cosines by sample.
    pub(crate) cosines: Vec<f64>,
}

impl Changed<'_> {
    /// Refuses an encoder whose smallest cosine is below `bound`.
    pub(crate) fn check(&self, bound: f64, advice: &str) -> Result<()> {
        let Cosines { min: found, worst_row: row, .. } = self.cosine;
        let input = self.encoder.manifest().modality;
        if found >= bound {
            return Ok(());
        }
        Err(Error::Parity { found, input, row, bound, advice: advice.into() })
    }
}

impl<'a> Source<'a> {
    /// Opens the source and embeds the samples.
    pub(crate) fn embed(
        path: &'a Path,
        samples: &'a [Sample],
        options: &'a ParityOptions,
        progress: OnProgress<'_>,
    ) -> Result<Self> {
        if samples.is_empty() {
            return Err(Error::Quantize(
                "there are no samples to compare the encoders on; give real ones of the kind that \
                 they will see"
                    .into(),
            ));
        }
        let encoder = options.open.open(path)?;
        let what = "Embedding with the source";
        let embeddings = embed(&encoder, samples, what, options.stop.as_deref(), progress)?;
        Ok(Self { path, encoder, embeddings, samples, options })
    }

    /// Embeds the samples with a changed encoder.
    pub(crate) fn against<'b>(
        &self,
        (path, open): (&'b Path, &'b OpenOptions),
        progress: OnProgress<'_>,
    ) -> Result<Changed<'b>> {
        let encoder = open.open(path)?;
        if encoder.dimensions() != self.encoder.dimensions() {
            return Err(Error::Quantize(format!(
                "the encoders have {} and {} dimensions and cannot be compared",
                self.encoder.dimensions(),
                encoder.dimensions()
            )));
        }
        let what = "Embedding with the changed encoder";
        let stop = self.options.stop.as_deref();
        let embeddings = embed(&encoder, self.samples, what, stop, progress)?;
        let cosines = cosine::each(self.embeddings.view(), embeddings.view());
        let cosine = Cosines::of(&cosines, self.samples);
        Ok(Changed { path, open, encoder, embeddings, cosine, cosines })
    }

    /// Measures the rest and closes both encoders.
    pub(crate) fn report(
        self,
        changed: Changed<'_>,
        progress: OnProgress<'_>,
    ) -> Result<ParityReport> {
        let Self { path, encoder: before, embeddings: x, samples, options } = self;
        let Changed { encoder: after, embeddings: y, cosine, .. } = changed;
        let few_shot = few_shot::measure(x.view(), y.view(), samples, options, &mut *progress)?;
        drop((x, y));
        let size = |path: &Path, encoder: &Encoder| match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata.len() as f64,
            _ => encoder.bundle().size() as f64,
        };
        let bytes = Pair { before: size(path, &before), after: size(changed.path, &after) };
        let (source_digest, digest) = (before.digest().to_owned(), after.digest().to_owned());
        let modality = before.manifest().modality;
        let speed = speed::measure([&before, &after], samples, options, &mut *progress)?;
        before.close();
        after.close();
        let memory = match options.rounds {
            0 => None,
            _ => memory::measure([(path, &options.open), (changed.path, changed.open)], samples)?,
        };
        Ok(ParityReport {
            source_digest,
            digest,
            modality,
            texts: samples.len(),
            cosine,
            few_shot,
            bytes,
            speed,
            memory,
        })
    }
}
