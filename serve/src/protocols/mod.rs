//! The protocols: a file or folder each.
//!
//! `learners` is our own: learners that belong to the key that made them, taught and asked
//! over HTTP. Every update is on disk before it is answered.

mod body;
mod bulk;
pub(crate) mod learners;
mod openai;
pub(crate) mod tei;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::fault::{Fault, Kind};
use crate::server::App;

pub(crate) use body::Body;

/// All routes but the page's.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/embeddings", post(openai::embeddings))
        .route("/embeddings", post(openai::embeddings))
        .route("/v1/embed", post(bulk::embed))
        .route("/v1/models", get(openai::models))
        .route("/v1/models/{name}", get(openai::model))
        .route("/embed", post(tei::embed))
        .route("/similarity", post(tei::similarity))
        .route("/tokenize", post(tei::tokenize))
        .route("/decode", post(tei::decode))
        .route("/info", get(tei::info))
        .route("/health", get(tei::health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .nest("/v1/learners", learners::router())
        .fallback(nothing)
}

async fn nothing() -> Fault {
    Fault::new(Kind::NotFound, "there is nothing at this address")
}

async fn ready(State(app): State<Arc<App>>) -> impl IntoResponse {
    match app.is_draining() {
        false => Ok(Json(json!({"ready": true}))),
        true => Err(Fault::new(Kind::Unavailable, "the service ends")),
    }
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let text = app.metrics.text(app.bundles.waiting());
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
