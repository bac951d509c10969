//! The protocols: a file or folder each.
//!
//! `learners` is our own: learners that belong to the key that made them, taught and asked
//! over HTTP. Every update is on disk before it is answered.

mod body;
mod bulk;
mod classify;
mod each_token;
pub(crate) mod learners;
mod openai;
pub(crate) mod tei;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::fault::{Answer, Fault, Kind};
use crate::openapi::{self, Api, Problems};
use crate::server::App;

pub(crate) use body::Body;

/// All routes but the page's, with what they take and give.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(openai::embeddings))
        .routes(routes!(openai::short))
        .routes(routes!(bulk::embed))
        .routes(routes!(openai::models))
        .routes(routes!(openai::model))
        .routes(routes!(tei::embed))
        .routes(routes!(each_token::embed_all))
        .routes(routes!(classify::predict))
        .routes(routes!(tei::similarity))
        .routes(routes!(tei::tokenize))
        .routes(routes!(tei::decode))
        .routes(routes!(tei::info))
        .routes(routes!(tei::health))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .routes(routes!(openapi::document))
        .merge(learners::router())
        .fallback(nothing)
}

async fn nothing() -> Fault {
    Fault::new(Kind::NotFound, "there is nothing at this address")
}

/// That the service takes requests.
#[derive(Debug, Serialize, ToSchema)]
struct Ready {
    ready: bool,
}

/// Whether new requests are to be sent here.
#[utoipa::path(get, path = "/ready", tag = "service",
    responses((status = 200, description = "They are", body = Ready), Problems))]
async fn ready(State(app): State<Arc<App>>) -> Answer<Json<Ready>> {
    match app.is_draining() {
        false => Ok(Json(Ready { ready: true })),
        true => Err(Fault::new(Kind::Unavailable, "the service ends")),
    }
}

/// Counters and durations.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, description = "Prometheus's text format 0.0.4", body = String),
              Problems))]
async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let text = app.metrics.text(app.bundles.waiting());
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
