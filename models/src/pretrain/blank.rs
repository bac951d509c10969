//! The network of a bundle without what it learned: what it must be compared with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use offshoot::bundle::{Bundle, Pretraining, TOKENIZER};
use offshoot_export::graph::{Graph, Lowering};

use super::finish::Finished;
use super::init;
use super::tokenizer::{self, Prepared};
use crate::encoders::{Architecture, Network, Weights};
use crate::error::{Error, Result};

/// The network of an encoder that was pretrained here, with weights as they are drawn.
#[derive(Debug)]
pub struct Blank {
    pub(super) encoder: Architecture,
    pub(super) tokenizer: Option<Arc<Prepared>>,
    name: String,
    pretraining: Pretraining,
}

impl Blank {
    /// The network of a bundle; `None` where the bundle does not say what it is, as one that
    /// was imported.
    ///
    /// # Errors
    /// Those of the bundle, and [`Error::Pretrain`] where its architecture cannot be read.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        let bundle = Bundle::open(path)?;
        let Some(json) = init::architecture(&bundle) else { return Ok(None) };
        let encoder: Architecture = serde_json::from_str(json).map_err(|error| {
            Error::Pretrain(format!(
                "the architecture of {} cannot be read: {error}",
                path.display()
            ))
        })?;
        encoder.check()?;
        let manifest = bundle.manifest();
        let tokenizer = match &manifest.text {
            None => None,
            Some(config) => {
                let json = bundle.read(TOKENIZER)?;
                let mut prepared = tokenizer::open_as(json, config.clone(), path)?;
                if let Some([rows, _]) = encoder.token_table() {
                    prepared.tokens.vocabulary = prepared.tokens.vocabulary.min(rows);
                }
                Some(Arc::new(prepared))
            }
        };
        let Some(pretraining) = manifest.provenance.pretraining.clone() else { return Ok(None) };
        Ok(Some(Self { encoder, tokenizer, name: manifest.name.clone(), pretraining }))
    }

    /// Writes a bundle with the weights that the network's run began with, where it began with
    /// drawn ones.
    ///
    /// # Errors
    /// Those of files.
    pub fn write(&self, output: &Path) -> Result<()> {
        let mut graph = Graph::new("blank", Lowering::Standard);
        let mut weights = Weights::random(self.pretraining.seed);
        let mut net = Network { graph: &mut graph, weights: &mut weights };
        let input = self.encoder.input(&mut net, "", "batch")?;
        self.encoder.encode(&mut net, input)?;
        let pretraining = Pretraining {
            objective: "none".into(),
            steps: 0,
            curve: Vec::new(),
            figures: BTreeMap::new(),
            options: BTreeMap::new(),
            ..self.pretraining.clone()
        };
        let finished = Finished {
            encoder: &self.encoder,
            weights: init::floats(&graph),
            tokenizer: self.tokenizer.as_deref(),
            name: format!("{} untrained", self.name),
            source: self.name.clone(),
            pretraining,
            origin: None,
        };
        finished.write_built(output).map(drop)
    }
}
