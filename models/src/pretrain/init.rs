//! Runs that begin with an encoder that is there already.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use offshoot::bundle::{Bundle, Modality, TOKENIZER};
use offshoot_export::adapt::EncoderGraph;
use offshoot_export::graph::{ElementType, Graph, Lowering, Tensor};

use super::options::PretrainOptions;
use super::setup::Setup;
use super::tokenizer;
use crate::data::Kind;
use crate::encoders::{Architecture, Imported, Network, Weights};
use crate::error::{Error, Result};

/// Key of the architecture among a bundle's options of pretraining.
const ARCHITECTURE: &str = "architecture";

/// The bundle that a run began with.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) bundle: Bundle,
    /// Its weights by name.
    pub(super) weights: BTreeMap<String, Tensor>,
    /// Holds the weights, where they are read from it.
    _graph: Option<EncoderGraph>,
}

/// What a bundle keeps of an architecture, so that it can be continued from.
pub(super) fn recorded(encoder: &Architecture) -> Result<BTreeMap<String, String>> {
    if let Architecture::Imported(_) = encoder {
        return Ok(BTreeMap::new());
    }
    let json = serde_json::to_string(encoder)
        .map_err(|e| Error::Pretrain(format!("the architecture cannot be written: {e}")))?;
    Ok(BTreeMap::from([(ARCHITECTURE.to_owned(), json)]))
}

/// The architecture that a bundle keeps.
pub(super) fn architecture(bundle: &Bundle) -> Option<&String> {
    bundle.manifest().provenance.pretraining.as_ref()?.options.get(ARCHITECTURE)
}

/// Whether the encoder of a bundle was pretrained here, so that every objective of its kind can
/// go on with it.
///
/// # Errors
/// Those of the bundle.
pub fn is_own(bundle: &Path) -> Result<bool> {
    Ok(architecture(&Bundle::open(bundle)?).is_some())
}

/// Reads the encoder of a bundle to go on with it on data of a kind.
pub(super) fn read(path: &Path, kind: Kind, options: &PretrainOptions) -> Result<Setup> {
    let bundle = Bundle::open(path)?;
    let bad = |reason: String| {
        Error::Pretrain(format!("{} cannot be continued from: {reason}", path.display()))
    };
    let modality = bundle.manifest().modality;
    let fits = match kind {
        Kind::Text => modality == Modality::Text,
        Kind::Image => modality == Modality::Image,
        Kind::Signal => modality == Modality::Signal,
    };
    if !fits {
        let (reads, has) = (modality.plural(), kind.plural());
        return Err(bad(format!("it reads {reads} and the data has {has}")));
    }
    let (encoder, weights, graph) = match architecture(&bundle) {
        Some(json) => {
            let encoder: Architecture = serde_json::from_str(json)
                .map_err(|e| bad(format!("its architecture cannot be read: {e}")))?;
            encoder.check()?;
            let graph = EncoderGraph::read(&bundle)?;
            let weights = floats(&graph.graph);
            complete(&encoder, weights.clone()).map_err(|error| {
                bad(format!("{error}; begin with the bundle as it was before it was changed"))
            })?;
            (encoder, weights, Some(graph))
        }
        None => {
            let imported = Imported::read(&bundle)?;
            let weights = imported.weights()?;
            (Architecture::Imported(imported), weights, None)
        }
    };
    let tokenizer = match &bundle.manifest().text {
        None => None,
        Some(config) => {
            let mut config = config.clone();
            if let Architecture::Imported(_) = encoder {
                config.max_tokens = config.max_tokens.min(options.max_tokens);
            }
            let json = bundle.read(TOKENIZER)?;
            let mut prepared = tokenizer::open_as(json, config, path)?;
            if let Some([rows, _]) = encoder.token_table() {
                prepared.tokens.vocabulary = prepared.tokens.vocabulary.min(rows);
            }
            Some(Arc::new(prepared))
        }
    };
    let channels = encoder.normalization().map_or(0, |n| n.mean.len());
    let origin = Some(Arc::new(Origin { bundle, weights, _graph: graph }));
    Ok(Setup { encoder, tokenizer, channels, origin })
}

/// The tensors of 32-bit floats, by name.
pub(super) fn floats(g: &Graph) -> BTreeMap<String, Tensor> {
    let all = g.initializers().iter().filter(|(_, t)| t.element == ElementType::Float32);
    all.map(|(value, tensor)| (g.value_name(*value).to_owned(), tensor.clone())).collect()
}

/// Whether these are all weights of the encoder.
fn complete(encoder: &Architecture, weights: BTreeMap<String, Tensor>) -> Result<()> {
    let mut graph = Graph::new("complete", Lowering::Standard);
    let mut weights = Weights::trained(weights);
    let mut net = Network { graph: &mut graph, weights: &mut weights };
    let input = encoder.input(&mut net, "", "batch")?;
    encoder.encode(&mut net, input).map(drop)
}
