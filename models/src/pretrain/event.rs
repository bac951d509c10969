//! What a run tells, and what it gives.

use offshoot_export::archive::Written;

use super::prediction::Prediction;
use super::quality::Quality;
use super::record::StepRecord;

/// What a run tells as it goes.
#[derive(Debug, Clone)]
pub enum Event {
    /// The encoder and the number of steps are settled.
    Begins {
        /// Name of the encoder's family.
        family: &'static str,
        /// Its number of weights, those of heads left out.
        parameters: u64,
        /// Number of steps of the run.
        steps: u64,
        /// Steps that an earlier run had done.
        done: u64,
        /// Examples to learn from.
        examples: usize,
    },
    /// A step is done.
    Step {
        /// Its record.
        record: StepRecord,
        /// Examples a second of this step, the wait for its batch included.
        examples_per_second: f64,
    },
    /// Embeddings of held-out examples have lost their meaning.
    Collapse {
        /// The step.
        step: u64,
        /// Why.
        reason: String,
    },
    /// The loss of held-out examples has not fallen for as long as was asked: the run ends.
    Stops {
        /// The last step.
        step: u64,
        /// The step whose weights are kept.
        kept: u64,
    },
}

/// A finished run.
#[derive(Debug)]
pub struct Pretrained {
    /// The bundle.
    pub written: Written,
    /// Steps that the bundle's weights are of.
    pub steps: u64,
    /// Their figures of quality, where this call took them.
    pub quality: Option<Quality>,
    /// How well they predict held-out tokens, likewise.
    pub prediction: Option<Prediction>,
    /// Examples that could not be read, counted each time that one was wanted.
    pub unreadable: u64,
}
