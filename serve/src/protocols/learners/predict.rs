//! What a learner says: of inputs, of itself, and of what to label next.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::{Extension, Json};
use ndarray::Array2;
use offshoot::Truncation;
use offshoot::bundle::Modality;
use offshoot::learner::Uncertainty;
use offshoot_adapters::metrics::{ClassificationReport, ConfusionMatrix, ProbabilityReport};
use offshoot_adapters::most_likely;
use offshoot_adapters::selection::{Diverse, uncertain};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::answers::{
    Evaluation, Prediction, Predictions, Suggestion, Suggestions, Suspect, Suspects,
};
use super::input::{Input, embed};
use super::update::{Lesson, inputs};
use super::{Id, Taught, open};
use crate::auth::Owner;
use crate::fault::{Answer, Fault};
use crate::openapi::Problems;
use crate::protocols::Body;
use crate::protocols::openai::check_count;
use crate::server::App;
use crate::server::layers::Deadline;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PredictRequest)]
pub(super) struct Predict {
    inputs: Vec<Input>,
    /// A set of labels that holds the true one with this probability is told.
    coverage: Option<f64>,
    /// At most this share of inputs of no known class passes as known.
    false_accepts: Option<f64>,
}

/// What the learner says of inputs.
#[utoipa::path(post, path = "/v1/learners/{id}/predict", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    request_body = Predict,
    responses((status = 200, description = "A prediction for each", body = Predictions), Problems))]
pub(super) async fn predict(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Id(id): Id,
    Body(request): Body<Predict>,
) -> Answer<Json<Predictions>> {
    check_count(&app, request.inputs.len())?;
    let taught = open::get(&app, &owner, &id).await?;
    let vectors = embed(&taught, request.inputs, deadline).await?;
    let (coverage, rate) = (request.coverage, request.false_accepts);
    let work = move |taught: &Taught| {
        let x = vectors.view();
        let (classes, probabilities) = taught.learner.predict_proba(x)?;
        let caution = match coverage.or(rate) {
            Some(_) => Some(taught.caution()?),
            None => None,
        };
        let (mut sets, mut known) = (None, None);
        if let Some(caution) = caution {
            sets = coverage.map(|p| caution.sets.predict_sets(x, p)).transpose()?;
            known = rate.map(|p| caution.open.accepts(x, p)).transpose()?;
        }
        let of = |(i, row): (usize, ndarray::ArrayView1<'_, f64>)| {
            let (class, probability) = most_likely(row);
            let all: Map<String, Value> =
                classes.names().iter().cloned().zip(row.iter().map(|p| json!(p))).collect();
            let set = sets
                .as_ref()
                .and_then(|sets| sets.get(i))
                .map(|set| set.iter().map(|&class| classes.name(class).to_owned()).collect());
            let known = known.as_ref().and_then(|known| known.get(i)).copied();
            let label = classes.name(class).to_owned();
            Prediction { label, probability, probabilities: all, set, known }
        };
        let predictions = probabilities.outer_iter().enumerate().map(of).collect();
        Ok(Json(Predictions { predictions, head: taught.learner.head()?.head.kind().name() }))
    };
    taught.blocking(work).await
}

/// Each class of each text with its probability, said by a learner, or by the only one there is.
pub(in crate::protocols) async fn classify(
    app: &App,
    owner: &Owner,
    id: Option<&str>,
    texts: Vec<String>,
    truncation: Truncation,
    deadline: Instant,
) -> Answer<Vec<Vec<(String, f64)>>> {
    let taught = match id {
        Some(id) => open::get(app, owner, id).await?,
        None => match super::ids(app, owner).await?.as_slice() {
            [id] => open::get(app, owner, id).await?,
            [] => return Err(super::not_there("there is no learner; make and teach one".into())),
            all => {
                return Err(Fault::invalid(format!(
                    "there are {} learners; name one by `learner`",
                    all.len()
                )));
            }
        },
    };
    if truncation == Truncation::Refuse && taught.model.manifest.modality == Modality::Text {
        let prompt = taught.learner.embed_options().prompt.clone();
        taught.model.tokenize(texts.clone(), prompt, truncation).await?;
    }
    let inputs = texts.into_iter().map(Input::Text).collect();
    let vectors = embed(&taught, inputs, deadline).await?;
    let work = move |taught: &Taught| {
        let (classes, probabilities) = taught.learner.predict_proba(vectors.view())?;
        let names = classes.names();
        let row = |row: ndarray::ArrayView1<'_, f64>| {
            names.iter().cloned().zip(row.iter().copied()).collect()
        };
        Ok(probabilities.outer_iter().map(row).collect())
    };
    taught.blocking(work).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EvaluateRequest)]
pub(super) struct Evaluate {
    examples: Vec<Lesson>,
}

/// How right the learner is on labelled examples, which it does not learn.
#[utoipa::path(post, path = "/v1/learners/{id}/evaluate", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    request_body = Evaluate,
    responses((status = 200, description = "The report", body = Evaluation), Problems))]
pub(super) async fn evaluate(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Id(id): Id,
    Body(Evaluate { mut examples }): Body<Evaluate>,
) -> Answer<Json<Evaluation>> {
    check_count(&app, examples.len())?;
    let taught = open::get(&app, &owner, &id).await?;
    let inputs = inputs(&mut examples)?;
    let labels: Vec<Option<String>> = examples.into_iter().map(|example| example.label).collect();
    let vectors = embed(&taught, inputs, deadline).await?;
    let work = move |taught: &Taught| {
        let (classes, probabilities) = taught.learner.predict_proba(vectors.view())?;
        let truth = labels
            .iter()
            .enumerate()
            .map(|(i, label)| {
                label.as_deref().and_then(|label| classes.index(label)).ok_or_else(|| {
                    Fault::invalid(format!("example {i} has no label that the learner knows"))
                })
            })
            .collect::<Answer<Vec<usize>>>()?;
        let predicted: Vec<usize> =
            probabilities.outer_iter().map(|row| most_likely(row).0).collect();
        let confusion = ConfusionMatrix::new(&classes, &truth, &predicted)?;
        let trust = ProbabilityReport::new(probabilities.view(), &truth)?;
        let cells: Vec<_> = confusion.cells().collect();
        let value = |value: serde_json::Result<Value>| value.map_err(Fault::internal);
        Ok(Json(Evaluation {
            examples: truth.len(),
            report: value(serde_json::to_value(ClassificationReport::from(&confusion)))?,
            probabilities: value(serde_json::to_value(trust))?,
            confusion_cells: value(serde_json::to_value(cells))?,
        }))
    };
    taught.blocking(work).await
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SuggestBy)]
enum By {
    #[default]
    Margin,
    Entropy,
    Diverse,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SuggestRequest)]
pub(super) struct Suggest {
    inputs: Vec<Input>,
    count: Option<usize>,
    #[serde(default)]
    by: By,
    #[serde(default)]
    seed: u64,
}

/// Which of the inputs to label next.
#[utoipa::path(post, path = "/v1/learners/{id}/suggest", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    request_body = Suggest,
    responses((status = 200, description = "The most useful first", body = Suggestions), Problems))]
pub(super) async fn suggest(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Id(id): Id,
    Body(request): Body<Suggest>,
) -> Answer<Json<Suggestions>> {
    check_count(&app, request.inputs.len())?;
    let taught = open::get(&app, &owner, &id).await?;
    let vectors: Array2<f32> = embed(&taught, request.inputs, deadline).await?;
    let (by, seed, count) = (request.by, request.seed, request.count.unwrap_or(10));
    let work = move |taught: &Taught| {
        let (classes, probabilities) = taught.learner.predict_proba(vectors.view())?;
        let measure = match by {
            By::Entropy => Uncertainty::Entropy,
            _ => Uncertainty::Margin,
        };
        let doubts = measure.of(probabilities.view())?;
        let rows: Vec<usize> = match by {
            By::Diverse => Diverse::new(vectors.view(), Some(&doubts), seed)?.take(count).collect(),
            _ => uncertain(probabilities.view(), measure)?.take(count).collect(),
        };
        let suggestions = rows
            .into_iter()
            .map(|row| {
                let (class, probability) = most_likely(probabilities.row(row));
                Suggestion {
                    input: row,
                    uncertainty: doubts.get(row).copied(),
                    probability,
                    label: classes.name(class).to_owned(),
                }
            })
            .collect();
        Ok(Json(Suggestions { suggestions }))
    };
    taught.blocking(work).await
}

/// Examples whose label is probably wrong.
#[utoipa::path(get, path = "/v1/learners/{id}/suspects", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    responses((status = 200, description = "The most doubtful first", body = Suspects), Problems))]
pub(super) async fn suspects(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
) -> Answer<Json<Suspects>> {
    let work = |taught: &Taught| {
        let suspects = taught.learner.suspects()?;
        let listed = suspects.found.into_iter().take(suspects.flagged).map(|s| Suspect {
            example: s.id.0,
            label: s.label,
            probability: s.probability,
            suggested: s.suggested,
            suggested_probability: s.suggested_probability,
        });
        let (judged, rate) = (suspects.judged, suspects.rate);
        Ok(Json(Suspects { suspects: listed.collect(), judged, rate }))
    };
    open::get(&app, &owner, &id).await?.blocking(work).await
}
