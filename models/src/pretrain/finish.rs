//! The end of a run: the trained encoder as a bundle, checked against what was trained.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::Array2;
use offshoot::bundle::{
    Change, FORMAT_VERSION, ImageConfig, Manifest, Modality, Pooling, Pretraining, Provenance,
    SignalConfig, Similarity, TOKENIZER,
};
use offshoot::{EmbedOptions, OpenOptions, WeightCache};
use offshoot_export::adapt::retrained;
use offshoot_export::archive::{BundleWriter, Written};
use offshoot_export::graph::external::Layout;
use offshoot_export::graph::{Graph, Lowering, Tensor};

use super::init::Origin;
use super::tokenizer::Prepared;
use crate::data::Kind;
use crate::encoders::{Architecture, Network, Weights};
use crate::error::{Error, Result};
use crate::objectives::{Batch, Rows};

/// Least cosine between an embedding of the bundle and of the trainer.
const AGREEMENT: f64 = 0.999;

/// What a bundle is made of.
pub(super) struct Finished<'a> {
    pub(super) encoder: &'a Architecture,
    pub(super) weights: BTreeMap<String, Tensor>,
    pub(super) tokenizer: Option<&'a Prepared>,
    pub(super) name: String,
    pub(super) pretraining: Pretraining,
    pub(super) source: String,
    /// What the run began with.
    pub(super) origin: Option<&'a Origin>,
}

impl Finished<'_> {
    /// Writes the bundle, and opens it again to compare it with embeddings `[rows, width]` of a
    /// batch that the trainer computed.
    pub(super) fn write(
        self,
        output: &Path,
        batch: &Batch,
        expected: &Array2<f32>,
    ) -> Result<Written> {
        let written = match (self.encoder, self.origin) {
            (Architecture::Imported(_), Some(origin)) => self.write_derived(origin, output)?,
            _ => self.write_built(output)?,
        };
        if let Err(error) = agrees(output, batch, expected) {
            let _ = std::fs::remove_file(output);
            return Err(error);
        }
        Ok(written)
    }

    /// What was done to the bundle that the run began with.
    fn change(&self, origin: &Origin) -> Change {
        Change {
            what: format!("pretrain {}", self.pretraining.objective),
            source_digest: origin.bundle.digest().to_owned(),
            details: BTreeMap::from([
                ("data_digest".to_owned(), self.pretraining.data_digest.clone()),
                ("steps".to_owned(), self.pretraining.steps.to_string()),
            ]),
        }
    }

    /// The bundle that the run began with, its weights replaced.
    fn write_derived(self, origin: &Origin, output: &Path) -> Result<Written> {
        let change = self.change(origin);
        let trained: Vec<(String, Tensor)> = self.weights.into_iter().collect();
        let edit = |manifest: &mut Manifest| {
            manifest.name.clone_from(&self.name);
            manifest.provenance.pretraining = Some(self.pretraining.clone());
        };
        Ok(retrained(origin.bundle.path(), &trained, &change, &edit, output, true)?)
    }

    /// A new bundle.
    pub(super) fn write_built(self, output: &Path) -> Result<Written> {
        let mut changes = Vec::new();
        if let Some(origin) = self.origin {
            changes.clone_from(&origin.bundle.manifest().provenance.changes);
            changes.push(self.change(origin));
        }
        let mut graph = Graph::new(&self.name, Lowering::OnnxRuntime);
        let mut weights = Weights::trained(self.weights);
        let mut net = Network { graph: &mut graph, weights: &mut weights };
        let input = self.encoder.input(&mut net, "", "batch")?;
        let features = self.encoder.encode(&mut net, input)?;
        graph.output("embedding", features.pooled)?;
        let kind = self.encoder.kind();
        let manifest = Manifest {
            format: FORMAT_VERSION,
            name: self.name,
            modality: match kind {
                Kind::Text => Modality::Text,
                Kind::Image => Modality::Image,
                Kind::Signal => Modality::Signal,
            },
            embedding_size: self.encoder.width(),
            pooling: Pooling::Mean,
            normalized: false,
            text: self.tokenizer.map(|tokenizer| tokenizer.config.clone()),
            image: self.encoder.image_size().map(|[height, width, channels]| ImageConfig {
                height,
                width,
                channels,
            }),
            signal: self.encoder.signal_size().map(|[channels, length]| SignalConfig {
                channels,
                length,
                channel_names: Vec::new(),
                sampling_rate: None,
            }),
            similarity: Similarity::Cosine,
            provenance: Provenance {
                source: self.source,
                architecture: self.encoder.name().into(),
                weights_sha256: None,
                tool: concat!("offshoot-models ", env!("CARGO_PKG_VERSION")).into(),
                changes,
                pretraining: Some(self.pretraining),
            },
            licence: self.origin.and_then(|origin| origin.bundle.manifest().licence.clone()),
            parameters: graph.parameters(),
            entries: BTreeMap::new(),
        };
        let mut bundle = BundleWriter::create(output, true)?;
        bundle.add_graph(&graph, &Layout::new(&graph)?, &mut |_| {})?;
        if let Some(tokenizer) = self.tokenizer {
            bundle.add_bytes(TOKENIZER, &tokenizer.json)?;
        }
        Ok(bundle.finish(manifest)?)
    }
}

/// Whether the bundle embeds as the trainer does.
fn agrees(output: &Path, batch: &Batch, expected: &Array2<f32>) -> Result<()> {
    let encoder = OpenOptions::new().cache(WeightCache::Off).open(output)?;
    let options = EmbedOptions::default();
    let found = match &batch.rows {
        Rows::Texts(rows) => encoder.embed_tokens(rows, &options)?,
        Rows::Images(images) => encoder.embed_images(images)?,
        Rows::Signals(signals) => {
            let length = encoder.manifest().signal.as_ref().map_or(0, |signal| signal.length);
            let channels = signals.first().map_or(0, |signal| signal.nrows());
            let mut all = ndarray::Array3::zeros((signals.len(), channels, length));
            for (mut place, signal) in all.outer_iter_mut().zip(signals) {
                place.assign(&offshoot::resample(signal.view(), length));
            }
            encoder.embed_signals(all.view())?
        }
    };
    for (row, (a, b)) in found.vectors().outer_iter().zip(expected.outer_iter()).enumerate() {
        let (a, b) = (a.mapv(f64::from), b.mapv(f64::from));
        let cosine = a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt();
        if cosine.is_nan() || cosine < AGREEMENT {
            return Err(Error::Pretrain(format!(
                "the bundle embeds example {row} unlike the trainer (cosine {cosine:.5}); it was \
                 not kept"
            )));
        }
    }
    Ok(())
}
