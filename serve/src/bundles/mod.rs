//! The bundles that are served: opened when first asked for, replaced while in use.

mod model;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

pub(crate) use model::{Cut, Model};
use offshoot::OpenOptions;
use offshoot::bundle::Bundle;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::fault::{Answer, Fault, Kind};
use crate::metrics::Metrics;

/// A place of which the bundle may change.
#[derive(Debug)]
struct Slot {
    name: String,
    path: PathBuf,
    model: RwLock<Arc<Model>>,
}

/// All bundles, by name.
#[derive(Debug)]
pub(crate) struct Bundles {
    slots: Vec<Slot>,
    open: OpenOptions,
    queue_tokens: usize,
    metrics: Arc<Metrics>,
}

impl Bundles {
    /// Checks the bundles without opening their encoders.
    pub(crate) fn new(config: &Config, metrics: &Arc<Metrics>) -> Result<Self> {
        let mut bundles = Self {
            slots: Vec::new(),
            open: config.open.clone(),
            queue_tokens: config.queue_tokens,
            metrics: metrics.clone(),
        };
        for served in &config.bundles {
            let bundle = Bundle::open(&served.path)?;
            let name = served.name.clone().unwrap_or_else(|| bundle.manifest().name.clone());
            if bundles.slots.iter().any(|slot| slot.name == name) {
                return Err(Error::Argument(format!(
                    "two bundles are called {name:?}; give one another name by NAME=BUNDLE"
                )));
            }
            let model = RwLock::new(Arc::new(bundles.model(&name, &served.path, &bundle)?));
            bundles.slots.push(Slot { name, path: served.path.clone(), model });
        }
        if bundles.slots.is_empty() {
            return Err(Error::Argument("there is nothing to serve; name a bundle".into()));
        }
        Ok(bundles)
    }

    fn model(&self, name: &str, path: &std::path::Path, bundle: &Bundle) -> Result<Model> {
        let digest = self.open.digest_of(bundle)?;
        Ok(Model::new(
            name.to_owned(),
            path.to_owned(),
            bundle.manifest().clone(),
            digest,
            self.open.clone(),
            self.queue_tokens,
            self.metrics.clone(),
        ))
    }

    /// The bundle of a name, or the first one.
    pub(crate) fn get(&self, name: Option<&str>) -> Answer<Arc<Model>> {
        let slot = match name {
            Some(name) => self.slots.iter().find(|slot| slot.name == name),
            None => self.slots.first(),
        };
        slot.map(current).ok_or_else(|| {
            let known: Vec<&str> = self.slots.iter().map(|slot| slot.name.as_str()).collect();
            Fault::new(
                Kind::NotFound,
                format!(
                    "the model {:?} is not served here, only {}",
                    name.unwrap_or_default(),
                    known.join(", ")
                ),
            )
        })
    }

    /// The bundle of a digest, for learners.
    pub(crate) fn of_digest(&self, digest: &str) -> Answer<Arc<Model>> {
        self.slots.iter().map(current).find(|model| model.digest == digest).ok_or_else(|| {
            Fault::new(
                Kind::Conflict,
                "the encoder of this learner is not served here; serve its bundle, or teach a new \
                 learner",
            )
        })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Arc<Model>> {
        self.slots.iter().map(current)
    }

    /// Tokens that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.all().map(|model| model.waiting()).sum()
    }

    /// Opens bundles that were replaced on disk, and serves them from then on. Requests that
    /// are being answered keep the one that they began with. Blocks.
    pub(crate) fn reload(&self) -> Vec<(String, Result<bool>)> {
        self.slots.iter().map(|slot| (slot.name.clone(), self.reload_one(slot))).collect()
    }

    fn reload_one(&self, slot: &Slot) -> Result<bool> {
        let bundle = Bundle::open(&slot.path)?;
        if self.open.digest_of(&bundle)? == current(slot).digest {
            return Ok(false);
        }
        let model = self.model(&slot.name, &slot.path, &bundle)?;
        // One that cannot be opened does not take the place of one that can.
        model.open_now()?;
        *slot.model.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
        Ok(true)
    }
}

fn current(slot: &Slot) -> Arc<Model> {
    slot.model.read().unwrap_or_else(PoisonError::into_inner).clone()
}
