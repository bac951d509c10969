//! The examples of a learner, a page at a time.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::{Extension, Json};
use offshoot::learner::{ExampleFilter, ExampleId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::answers::{Example, Examples};
use super::{Id, Taught, open};
use crate::auth::Owner;
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::Problems;
use crate::server::App;

/// Most examples of a page of the list.
const PAGE: usize = 1000;

/// Which examples are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    label: Option<String>,
    source: Option<String>,
    after: Option<i64>,
    limit: Option<usize>,
}

/// Examples in the order in which they were taught, a page at a time.
#[utoipa::path(get, path = "/v1/learners/{id}/examples", tag = "learners",
    params(("id" = String, Path, description = "The learner's id"), Page),
    responses((status = 200, description = "A page", body = Examples), Problems))]
pub(super) async fn examples(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    query: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Answer<Json<Examples>> {
    let Query(page) = query.map_err(|error| Fault::new(Kind::Invalid, error.to_string()))?;
    let limit = page.limit.unwrap_or(100).min(PAGE);
    let work = move |taught: &Taught| {
        let filter = ExampleFilter { label: page.label, source: page.source };
        let after = ExampleId(page.after.unwrap_or(0));
        taught.learner.with_store(|store| {
            let mut listed = Vec::new();
            for example in store.examples(&filter).after(after).take(limit) {
                let example = example?;
                listed.push(Example {
                    example: example.id.0,
                    label: example.label,
                    weight: example.weight,
                    source: example.source,
                    text: example.text,
                    embedding: example.embedding,
                });
            }
            Ok(Json(Examples { examples: listed }))
        })
    };
    open::get(&app, &owner, &id).await?.blocking(work).await
}
