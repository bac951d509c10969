//! How an encoder is pretrained.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offshoot::TrainerOptions;
use offshoot_export::training::Recompute;

use super::optimizer::OptimizerKind;
use super::tokenizer::TokenizerKind;
use crate::augment::AugmentationSettings;
use crate::encoders::{Family, Size};
use crate::error::{Error, Result};
use crate::objectives::Objective;

/// An objective with its weight in the sum.
#[derive(Debug, Clone)]
pub struct WeightedObjective {
    /// The objective.
    pub objective: Arc<dyn Objective>,
    /// What its loss is multiplied by.
    pub weight: f32,
}

/// Where the encoder comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// A new encoder of a family, or of the one that suits the data and the objectives.
    Fresh {
        /// The family.
        family: Option<Family>,
    },
    /// The encoder of a bundle: one that was pretrained here, or an imported one of texts.
    Init {
        /// The bundle.
        bundle: PathBuf,
    },
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// After so many steps.
    Steps(u64),
    /// When every example was seen so many times.
    Epochs(f64),
    /// After about so many minutes: the first steps are timed, and as many are taken as fit.
    Minutes(f64),
}

/// How an encoder is pretrained.
#[derive(Debug, Clone)]
pub struct PretrainOptions {
    /// Where the encoder comes from.
    pub start: Start,
    /// Size of a new encoder.
    pub size: Size,
    /// Sizes of a new encoder that differ from those of [`Self::size`], by name
    /// ([`Architecture::configured`](crate::encoders::Architecture::configured)).
    pub configuration: BTreeMap<String, serde_json::Value>,
    /// What it learns from.
    pub objectives: Vec<WeightedObjective>,
    /// How views are drawn, where not as it suits the data.
    pub augmentation: AugmentationSettings,
    /// When the run ends.
    pub budget: Budget,
    /// Examples of a batch.
    pub batch: usize,
    /// Batches of a step, one after the other: their gradients are averaged, so that a step is
    /// of more examples than the memory holds at once. Objectives that compare the examples of a
    /// batch compare those of one only.
    pub accumulate: u64,
    /// What turns gradients into steps.
    pub optimizer: OptimizerKind,
    /// Which activations a step computes again in place of keeping them: less memory, more time.
    pub recompute: Recompute,
    /// Learning rate at its highest.
    pub learning_rate: f32,
    /// Share of the steps in which the rate rises.
    pub warm_up: f32,
    /// Weight decay of matrices.
    pub weight_decay: f64,
    /// Decay of an average of the weights, which then is what is written.
    pub average_decay: Option<f32>,
    /// Seed of weights, order and views.
    pub seed: u64,
    /// Side that images are brought to; else that of most of them.
    pub image_size: Option<usize>,
    /// Length that signals are brought to; else that of most of them.
    pub signal_length: Option<usize>,
    /// Kind of tokenizer that is trained for texts.
    pub tokenizer: TokenizerKind,
    /// Its number of tokens.
    pub vocabulary: usize,
    /// Most tokens of a text that the encoder takes: longer ones are cut when it is used, and
    /// learned from in parts.
    pub max_tokens: usize,
    /// Examples that are held out for the figures of quality, at most a tenth of all.
    pub held_out: usize,
    /// Steps between figures of quality; else 20 times a run.
    pub quality_every: Option<u64>,
    /// Ends the run when so many figures in a row had no lower loss of held-out examples than one
    /// before; the weights with the lowest are written.
    pub patience: Option<u64>,
    /// Seconds between checkpoints.
    pub checkpoint_seconds: u64,
    /// Threads that make batches.
    pub loaders: usize,
    /// Device, threads and other settings of the trainer.
    pub trainer: TrainerOptions,
    /// Ends the run soon after it becomes true, with a checkpoint.
    pub stop: Option<Arc<AtomicBool>>,
    /// The bundle to write. The run's own files lie beside it, in a folder of the same name with
    /// the ending `.run`.
    pub output: PathBuf,
    /// Name of the encoder; else that of the output.
    pub name: Option<String>,
}

impl PretrainOptions {
    /// The defaults, for one objective and an output.
    pub fn new(objective: Box<dyn Objective>, output: PathBuf) -> Self {
        Self {
            start: Start::Fresh { family: None },
            size: Size::Tiny,
            configuration: BTreeMap::new(),
            objectives: vec![WeightedObjective { objective: objective.into(), weight: 1.0 }],
            augmentation: AugmentationSettings::default(),
            budget: Budget::Epochs(10.0),
            batch: 128,
            accumulate: 1,
            optimizer: OptimizerKind::AdamW,
            recompute: Recompute::Nothing,
            learning_rate: OptimizerKind::AdamW.usual_rate(),
            warm_up: 0.05,
            weight_decay: 0.05,
            average_decay: None,
            seed: 0,
            image_size: None,
            signal_length: None,
            tokenizer: TokenizerKind::WordPiece,
            vocabulary: 8000,
            max_tokens: 64,
            held_out: 1000,
            quality_every: None,
            patience: None,
            checkpoint_seconds: 60,
            loaders: 1,
            trainer: TrainerOptions::new(),
            stop: None,
            output,
            name: None,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let bad = |reason: String| Err(Error::Pretrain(reason));
        if self.objectives.is_empty() {
            return bad("a run needs an objective".into());
        }
        for (i, WeightedObjective { objective, weight }) in self.objectives.iter().enumerate() {
            if !(weight.is_finite() && *weight > 0.0) {
                return bad(format!(
                    "the weight of {} is {weight}; it must be above 0",
                    objective.name()
                ));
            }
            if self.objectives[..i].iter().any(|o| o.objective.name() == objective.name()) {
                return bad(format!("{} is asked for twice", objective.name()));
            }
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return bad(format!("the learning rate is {}; it must be above 0", self.learning_rate));
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return bad(format!("the weight decay is {}; it must be 0 or more", self.weight_decay));
        }
        if let Some(decay) = self.average_decay
            && !(0.0..1.0).contains(&decay)
        {
            return bad(format!("the average's decay is {decay}; it must be 0 to below 1"));
        }
        if self.batch < 2 {
            return bad("a step needs a batch of at least 2 examples".into());
        }
        if self.patience == Some(0) || self.quality_every == Some(0) {
            return bad("patience is for at least one figure, taken every step or more".into());
        }
        if self.accumulate == 0 {
            return bad("a step needs at least one batch".into());
        }
        if self.accumulate > 1 {
            let reads = |o: &&WeightedObjective| o.objective.teacher_decay().is_some();
            if let Some(WeightedObjective { objective, .. }) = self.objectives.iter().find(reads) {
                return bad(format!(
                    "{} reads an average of the weights, which steps of several batches cannot \
                     have; choose a larger batch instead",
                    objective.name()
                ));
            }
        }
        if !(0.0..1.0).contains(&self.warm_up) {
            return bad(format!(
                "the warm-up is {} of the run; it must be 0 to below 1",
                self.warm_up
            ));
        }
        let ends = match self.budget {
            Budget::Steps(steps) => steps > 0,
            Budget::Epochs(epochs) => epochs.is_finite() && epochs > 0.0,
            Budget::Minutes(minutes) => minutes.is_finite() && minutes > 0.0,
        };
        if !ends {
            return bad("the run has no length: give steps, epochs or minutes above 0".into());
        }
        if self.max_tokens < 3 || self.vocabulary < 32 {
            return bad("a text encoder needs at least 3 tokens a text and 32 tokens in all".into());
        }
        if matches!(self.image_size, Some(0)) || matches!(self.signal_length, Some(0 | 1)) {
            return bad("images need a side of at least 1, signals a length of at least 2".into());
        }
        Ok(())
    }

    /// What must be the same for a run to be resumed.
    pub(super) fn fingerprint(&self) -> String {
        let objectives: Vec<String> =
            self.objectives.iter().map(|o| format!("{} × {:?}", o.weight, o.objective)).collect();
        format!(
            "{:?} {:?} {:?} [{}]{} {:?} batch {}{} rate {} warm-up {} decay {} average {:?} seed {} image {:?} \
             signal {:?} tokenizer {:?} {} {} held out {} name {:?}{}{}{}",
            self.start,
            self.size,
            self.configuration,
            objectives.join(", "),
            match self.augmentation.is_empty() {
                true => String::new(),
                false => format!(" {:?}", self.augmentation),
            },
            self.budget,
            self.batch,
            match self.accumulate {
                1 => String::new(),
                batches => format!(" × {batches}"),
            },
            self.learning_rate,
            self.warm_up,
            self.weight_decay,
            self.average_decay,
            self.seed,
            self.image_size,
            self.signal_length,
            self.tokenizer,
            self.vocabulary,
            self.max_tokens,
            self.held_out,
            self.name,
            match self.optimizer {
                OptimizerKind::AdamW => String::new(),
                other => format!(" {}", other.name()),
            },
            match &self.recompute {
                Recompute::Nothing => String::new(),
                what => format!(" recompute {what:?}"),
            },
            match self.patience {
                None => String::new(),
                Some(patience) => format!(" patience {patience} every {:?}", self.quality_every),
            },
        )
    }

    /// The folder with the run's own files.
    pub fn run_folder(&self) -> PathBuf {
        self.output.with_extension("run")
    }

    /// The decay of the average: what was asked for, or what an objective reads as a teacher.
    pub(super) fn decay(&self) -> Option<f32> {
        let teacher = self.objectives.iter().find_map(|o| o.objective.teacher_decay());
        self.average_decay.or(teacher)
    }
}
