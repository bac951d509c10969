//! The OpenAPI document: made of the handlers' own types, and of the errors of each protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{self, Content, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

/// What stands above all routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "Offshoot", description = "Embeddings and few-shot learning over HTTP."),
    components(schemas(Problem, OpenAiError, TeiError)),
    modifiers(&Keys),
    security((), ("key" = []))
)]
pub(crate) struct Api;

/// A key is asked for where the service was started with a file of keys.
struct Keys;

impl Modify for Keys {
    fn modify(&self, api: &mut openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        api.components.get_or_insert_default().add_security_scheme("key", scheme);
    }
}

/// An error of this service's own routes, RFC 9457.
#[derive(serde::Serialize, ToSchema)]
#[schema(example = json!({"type": "about:blank", "title": "Not Found", "status": 404,
                          "detail": "there is no learner \"a\""}))]
pub(crate) struct Problem {
    pub(crate) r#type: &'static str,
    pub(crate) title: &'static str,
    pub(crate) status: u16,
    pub(crate) detail: String,
}

/// An error of OpenAI's routes.
#[derive(serde::Serialize, ToSchema)]
pub(crate) struct OpenAiError {
    pub(crate) error: OpenAiErrorBody,
}

/// What went wrong, as OpenAI tells it.
#[derive(serde::Serialize, ToSchema)]
pub(crate) struct OpenAiErrorBody {
    pub(crate) message: String,
    pub(crate) r#type: &'static str,
    #[schema(required)]
    pub(crate) param: Option<String>,
    #[schema(required)]
    pub(crate) code: Option<&'static str>,
}

/// An error of the routes of Text Embeddings Inference.
#[derive(serde::Serialize, ToSchema)]
pub(crate) struct TeiError {
    pub(crate) error: String,
    pub(crate) error_type: &'static str,
}

/// Errors of this service's own routes.
pub(crate) struct Problems;
/// Errors of OpenAI's routes.
pub(crate) struct OpenAiErrors;
/// Errors of the routes of Text Embeddings Inference.
pub(crate) struct TeiErrors;

type Responses = BTreeMap<String, RefOr<openapi::Response>>;

fn errors(statuses: &[u16], kind: &str, schema: &str) -> Responses {
    let one = |&status: &u16| {
        let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let response = ResponseBuilder::new()
            .description(title.unwrap_or("Error"))
            .content(kind, Content::new(Some(Ref::from_schema_name(schema))))
            .build();
        (status.to_string(), RefOr::T(response))
    };
    statuses.iter().map(one).collect()
}

impl IntoResponses for Problems {
    fn responses() -> Responses {
        let statuses = [400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504];
        errors(&statuses, "application/problem+json", "Problem")
    }
}

impl IntoResponses for OpenAiErrors {
    fn responses() -> Responses {
        let statuses = [400, 401, 403, 404, 408, 413, 415, 429, 500, 503, 504];
        errors(&statuses, "application/json", "OpenAiError")
    }
}

impl IntoResponses for TeiErrors {
    fn responses() -> Responses {
        let statuses = [400, 401, 403, 404, 408, 409, 413, 415, 422, 424, 429, 500, 503, 504];
        errors(&statuses, "application/json", "TeiError")
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), Problems))]
pub(crate) async fn document(Extension(api): Extension<Arc<openapi::OpenApi>>) -> Response {
    Json(&*api).into_response()
}
