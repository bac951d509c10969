//! What a learner says: of inputs, of itself, and of what to label next.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use ndarray::Array2;
use offshoot::learner::{ExampleFilter, Uncertainty};
use offshoot_adapters::metrics::{ClassificationReport, ConfusionMatrix, ProbabilityReport};
use offshoot_adapters::most_likely;
use offshoot_adapters::selection::{Diverse, uncertain};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::input::{Input, embed};
use super::update::{Lesson, inputs};
use super::{Taught, open};
use crate::auth::Owner;
use crate::fault::{Answer, Fault, Kind};
use crate::protocols::Body;
use crate::protocols::openai::check_count;
use crate::server::App;
use crate::server::layers::Deadline;

/// Most examples of a page of the list.
const PAGE: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Predict {
    inputs: Vec<Input>,
    /// A set of labels that holds the true one with this probability is told.
    coverage: Option<f64>,
    /// At most this share of inputs of no known class passes as known.
    false_accepts: Option<f64>,
}

pub(super) async fn predict(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Path(id): Path<String>,
    Body(request): Body<Predict>,
) -> Answer<Json<Value>> {
    check_count(&app, request.inputs.len())?;
    let taught = open::get(&app, &owner, &id).await?;
    let vectors = embed(&taught, request.inputs, deadline).await?;
    let (coverage, rate) = (request.coverage, request.false_accepts);
    let work = move |taught: &Taught| {
        let x = vectors.view();
        let head = taught.learner.head()?;
        let classes = head.head.classes();
        let probabilities = head.head.predict_proba(x)?;
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
            let mut answer = json!({"label": classes.name(class), "probability": probability,
                                    "probabilities": all});
            if let Some(set) = sets.as_ref().and_then(|sets| sets.get(i)) {
                let names: Vec<&str> = set.iter().map(|&class| classes.name(class)).collect();
                answer["set"] = json!(names);
            }
            if let Some(known) = known.as_ref().and_then(|known| known.get(i)) {
                answer["known"] = json!(known);
            }
            answer
        };
        let predictions: Vec<Value> = probabilities.outer_iter().enumerate().map(of).collect();
        Ok(Json(json!({"predictions": predictions, "head": head.head.kind().name()})))
    };
    taught.blocking(work).await
}

#[derive(Debug, Deserialize)]
pub(super) struct Evaluate {
    examples: Vec<Lesson>,
}

pub(super) async fn evaluate(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Path(id): Path<String>,
    Body(Evaluate { mut examples }): Body<Evaluate>,
) -> Answer<Json<Value>> {
    check_count(&app, examples.len())?;
    let taught = open::get(&app, &owner, &id).await?;
    let inputs = inputs(&mut examples)?;
    let labels: Vec<Option<String>> = examples.into_iter().map(|example| example.label).collect();
    let vectors = embed(&taught, inputs, deadline).await?;
    let work = move |taught: &Taught| {
        let head = taught.learner.head()?;
        let classes = head.head.classes();
        let truth = labels
            .iter()
            .enumerate()
            .map(|(i, label)| {
                label.as_deref().and_then(|label| classes.index(label)).ok_or_else(|| {
                    Fault::invalid(format!("example {i} has no label that the learner knows"))
                })
            })
            .collect::<Answer<Vec<usize>>>()?;
        let probabilities = head.head.predict_proba(vectors.view())?;
        let predicted: Vec<usize> =
            probabilities.outer_iter().map(|row| most_likely(row).0).collect();
        let confusion = ConfusionMatrix::new(classes, &truth, &predicted)?;
        let trust = ProbabilityReport::new(probabilities.view(), &truth)?;
        let cells: Vec<_> = confusion.cells().collect();
        Ok(Json(json!({
            "examples": truth.len(), "report": ClassificationReport::from(&confusion),
            "probabilities": trust, "confusion_cells": cells,
        })))
    };
    taught.blocking(work).await
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    #[default]
    Margin,
    Entropy,
    Diverse,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suggest {
    inputs: Vec<Input>,
    count: Option<usize>,
    #[serde(default)]
    by: By,
    #[serde(default)]
    seed: u64,
}

pub(super) async fn suggest(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Path(id): Path<String>,
    Body(request): Body<Suggest>,
) -> Answer<Json<Value>> {
    check_count(&app, request.inputs.len())?;
    let taught = open::get(&app, &owner, &id).await?;
    let vectors: Array2<f32> = embed(&taught, request.inputs, deadline).await?;
    let (by, seed, count) = (request.by, request.seed, request.count.unwrap_or(10));
    let work = move |taught: &Taught| {
        let head = taught.learner.head()?;
        let probabilities = head.head.predict_proba(vectors.view())?;
        let measure = match by {
            By::Entropy => Uncertainty::Entropy,
            _ => Uncertainty::Margin,
        };
        let doubts = measure.of(probabilities.view())?;
        let rows: Vec<usize> = match by {
            By::Diverse => Diverse::new(vectors.view(), Some(&doubts), seed)?.take(count).collect(),
            _ => uncertain(probabilities.view(), measure)?.take(count).collect(),
        };
        let suggestions: Vec<Value> = rows
            .into_iter()
            .map(|row| {
                let (class, probability) = most_likely(probabilities.row(row));
                json!({"input": row, "uncertainty": doubts.get(row), "probability": probability,
                       "label": head.head.classes().name(class)})
            })
            .collect();
        Ok(Json(json!({"suggestions": suggestions})))
    };
    taught.blocking(work).await
}

pub(super) async fn suspects(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Path(id): Path<String>,
) -> Answer<Json<Value>> {
    let work = |taught: &Taught| {
        let suspects = taught.learner.suspects()?;
        let found: Vec<Value> = suspects
            .found
            .iter()
            .take(suspects.flagged)
            .map(|s| {
                json!({"example": s.id.0, "label": s.label, "probability": s.probability,
                       "suggested": s.suggested, "suggested_probability": s.suggested_probability})
            })
            .collect();
        Ok(Json(json!({"suspects": found, "judged": suspects.judged, "rate": suspects.rate})))
    };
    open::get(&app, &owner, &id).await?.blocking(work).await
}

/// Which examples are listed.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    label: Option<String>,
    source: Option<String>,
    after: Option<i64>,
    limit: Option<usize>,
}

pub(super) async fn examples(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Path(id): Path<String>,
    query: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Answer<Json<Value>> {
    let Query(page) = query.map_err(|error| Fault::new(Kind::Invalid, error.to_string()))?;
    let limit = page.limit.unwrap_or(100).min(PAGE);
    let work = move |taught: &Taught| {
        let filter = ExampleFilter { label: page.label, source: page.source };
        let after = page.after.unwrap_or(0);
        taught.learner.with_store(|store| {
            let mut listed = Vec::new();
            for example in store.examples(&filter) {
                let example = example?;
                if example.id.0 <= after {
                    continue;
                }
                if listed.len() == limit {
                    break;
                }
                listed.push(json!({
                    "example": example.id.0, "label": example.label, "weight": example.weight,
                    "source": example.source, "text": example.text,
                    "embedding": example.embedding,
                }));
            }
            Ok(Json(json!({"examples": listed})))
        })
    };
    open::get(&app, &owner, &id).await?.blocking(work).await
}
