//! What is told of learners.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A class and how often it was taught.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClassCount {
    pub(super) label: String,
    pub(super) examples: u64,
}

/// A learner.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LearnerInfo {
    pub(super) id: String,
    pub(super) model: String,
    /// `text`, `image` or `signal`.
    pub(super) reads: &'static str,
    pub(super) head: String,
    pub(super) dimensions: usize,
    #[schema(required)]
    pub(super) prompt: Option<String>,
    pub(super) keeps_text: bool,
    pub(super) encoder_digest: String,
    pub(super) revision: i64,
    pub(super) classes: Vec<ClassCount>,
    /// Labelled examples.
    pub(super) examples: u64,
    pub(super) unlabelled: u64,
}

/// A learner, or why it cannot be used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Listed {
    Usable(LearnerInfo),
    Unusable { id: String, problem: String },
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Learners {
    pub(super) learners: Vec<Listed>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TeachAnswer {
    /// The new examples' ids, in the order in which they were sent.
    pub(super) ids: Vec<i64>,
    pub(super) revision: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revision {
    pub(super) revision: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Forgotten {
    /// How many examples.
    pub(super) forgotten: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Undone {
    /// Which kind of update.
    pub(super) undone: &'static str,
    /// How many examples it had changed.
    pub(super) examples: usize,
}

/// What the learner says of an input.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Prediction {
    pub(super) label: String,
    pub(super) probability: f64,
    /// Of every class.
    #[schema(value_type = std::collections::HashMap<String, f64>)]
    pub(super) probabilities: Map<String, Value>,
    /// Labels among which the true one is with the probability that `coverage` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) set: Option<Vec<String>>,
    /// Whether the input is of a known class, where `false_accepts` was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) known: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Predictions {
    pub(super) predictions: Vec<Prediction>,
    pub(super) head: &'static str,
}

/// How right the learner is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Evaluation {
    pub(super) examples: usize,
    /// Accuracy, and precision, recall and F1 of each class.
    #[schema(value_type = Object)]
    pub(super) report: Value,
    /// Log loss, Brier score and calibration.
    #[schema(value_type = Object)]
    pub(super) probabilities: Value,
    /// Triples of true class, predicted class and count, where the count is not 0.
    #[schema(value_type = Vec<Vec<u64>>)]
    pub(super) confusion_cells: Value,
}

/// An input to be labelled next.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Suggestion {
    /// Its place among the inputs, from 0.
    pub(super) input: usize,
    #[schema(required)]
    pub(super) uncertainty: Option<f64>,
    pub(super) probability: f64,
    pub(super) label: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Suggestions {
    pub(super) suggestions: Vec<Suggestion>,
}

/// An example whose label is probably wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Suspect {
    pub(super) example: i64,
    pub(super) label: String,
    pub(super) probability: f64,
    pub(super) suggested: String,
    pub(super) suggested_probability: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Suspects {
    pub(super) suspects: Vec<Suspect>,
    pub(super) judged: usize,
    pub(super) rate: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Example {
    pub(super) example: i64,
    #[schema(required)]
    pub(super) label: Option<String>,
    pub(super) weight: f64,
    #[schema(required)]
    pub(super) source: Option<String>,
    #[schema(required)]
    pub(super) text: Option<String>,
    pub(super) embedding: Vec<f32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Examples {
    pub(super) examples: Vec<Example>,
}
