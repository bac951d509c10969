//! `/predict` of Text Embeddings Inference, which a learner answers.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use offshoot::Truncation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Body;
use super::learners;
use super::openai::check_count;
use crate::auth::Owner;
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::TeiErrors;
use crate::server::App;
use crate::server::layers::Deadline;

/// A text, a list of one, or a list of such lists.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ClassifyInput)]
enum Texts {
    One(String),
    Sequence(Vec<String>),
    Many(Vec<Vec<String>>),
}

/// Texts to classify.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ClassifyRequest)]
pub(super) struct Classify {
    inputs: Texts,
    /// Natural logarithms of the probabilities instead of these.
    #[serde(default)]
    raw_scores: bool,
    /// Whether texts that are too long are cut, which is so unless this is false.
    truncate: Option<bool>,
    /// The learner's id; may be left out where there is exactly one.
    learner: Option<String>,
}

/// A class and its probability.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Score {
    score: f64,
    label: String,
}

/// Classes of a text, the most probable first; or those of each text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ClassifyAnswer)]
pub(super) enum Classified {
    One(Vec<Score>),
    Many(Vec<Vec<Score>>),
}

/// The text of a sequence of one; a pair is a question that learners do not answer.
fn single(mut sequence: Vec<String>) -> Answer<String> {
    match (sequence.pop(), sequence.is_empty()) {
        (Some(text), true) => Ok(text),
        (None, _) => Err(Fault::new(Kind::Empty, "there is no input")),
        _ => Err(Fault::invalid(
            "a list of texts is one input here, and learners classify single texts; send \
             [[\"a text\"], [\"another\"]] for several",
        )),
    }
}

/// What a learner says of texts.
#[utoipa::path(post, path = "/predict", tag = "Text Embeddings Inference", request_body = Classify,
    responses((status = 200, description = "Every class with its probability", body = Classified),
              TeiErrors))]
pub(super) async fn predict(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Body(request): Body<Classify>,
) -> Answer<Json<Classified>> {
    let (texts, many) = match request.inputs {
        Texts::One(text) => (vec![text], false),
        Texts::Sequence(sequence) => (vec![single(sequence)?], false),
        Texts::Many(all) => (all.into_iter().map(single).collect::<Answer<_>>()?, true),
    };
    check_count(&app, texts.len())?;
    let cut = match request.truncate {
        Some(false) => Truncation::Refuse,
        _ => Truncation::Cut,
    };
    let rows =
        learners::classify(&app, &owner, request.learner.as_deref(), texts, cut, deadline).await?;
    let score = |(label, p): (String, f64)| {
        // Scores stay finite, as JSON has no other.
        let score = if request.raw_scores { p.max(f64::MIN_POSITIVE).ln() } else { p };
        Score { score, label }
    };
    let row = |mut row: Vec<(String, f64)>| {
        row.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        row.into_iter().map(score).collect::<Vec<_>>()
    };
    let mut rows: Vec<Vec<Score>> = rows.into_iter().map(row).collect();
    Ok(Json(match many {
        true => Classified::Many(rows),
        false => Classified::One(rows.pop().unwrap_or_default()),
    }))
}
