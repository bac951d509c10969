//! Why a request is not answered as it wished, in each protocol's own form.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::openapi::{OpenAiError, OpenAiErrorBody, Problem, TeiError};

/// Result of a handler.
pub(crate) type Answer<T> = Result<T, Fault>;

/// What went wrong, whatever the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request cannot be understood or carried out.
    Invalid,
    /// Something that is needed is empty.
    Empty,
    /// The request is too large.
    TooLarge,
    /// The body is not of the type that is read.
    MediaType,
    /// No key, or none that is known.
    Unauthorized,
    /// Not allowed from there.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// There is, but not in this way.
    Method,
    /// What is there does not allow it.
    Conflict,
    /// Too much waits already; try again after so many seconds.
    Overloaded(u64),
    /// It took too long.
    Deadline,
    /// The client took too long.
    Stalled,
    /// The service is not ready.
    Unavailable,
    /// What is served is not made for it.
    Unable,
    /// A failure of the service.
    Internal,
}

/// A kind with a message for the caller, which never holds a path of the server.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// A failure whose reason only the log has.
    pub(crate) fn internal(reason: impl std::fmt::Display) -> Self {
        eprintln!("error: {reason}");
        Self::new(Kind::Internal, "the service failed; its log has the reason")
    }

    fn status(&self) -> StatusCode {
        match self.kind {
            Kind::Invalid | Kind::Empty => StatusCode::BAD_REQUEST,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Overloaded(_) => StatusCode::TOO_MANY_REQUESTS,
            Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Kind::Stalled => StatusCode::REQUEST_TIMEOUT,
            Kind::Unable => StatusCode::FAILED_DEPENDENCY,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer to a request for `path`, in the form of its protocol.
    pub(crate) fn render(&self, path: &str) -> Response {
        let mut status = self.status();
        let mut content = "application/json";
        let mut response =
            if matches!(path, "/v1/embeddings" | "/embeddings") || path.starts_with("/v1/models") {
                Json(self.openai()).into_response()
            } else if path.starts_with("/v1/")
                || path.starts_with("/page/")
                || matches!(path, "/ready" | "/metrics" | "/openapi.json")
            {
                content = "application/problem+json";
                let title = status.canonical_reason().unwrap_or("Error");
                let detail = self.message.clone();
                Json(Problem { r#type: "about:blank", title, status: status.as_u16(), detail })
                    .into_response()
            } else {
                let (error_type, own) = match self.kind {
                    Kind::Invalid => ("Validation", StatusCode::UNPROCESSABLE_ENTITY),
                    Kind::Empty => ("Empty", status),
                    Kind::Overloaded(_) => ("Overloaded", status),
                    Kind::Unavailable => ("Unhealthy", status),
                    Kind::Internal | Kind::Deadline | Kind::Unable => ("Backend", status),
                    _ => ("Validation", status),
                };
                status = own;
                Json(TeiError { error: self.message.clone(), error_type }).into_response()
            };
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
        match self.kind {
            Kind::Overloaded(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Kind::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }

    fn openai(&self) -> OpenAiError {
        let (r#type, code) = match self.kind {
            Kind::Unauthorized => ("invalid_request_error", Some("invalid_api_key")),
            Kind::NotFound => ("invalid_request_error", Some("model_not_found")),
            Kind::Overloaded(_) => ("rate_limit_error", Some("rate_limit_exceeded")),
            Kind::Deadline | Kind::Unavailable | Kind::Internal => ("server_error", None),
            _ => ("invalid_request_error", None),
        };
        let message = self.message.clone();
        OpenAiError { error: OpenAiErrorBody { message, r#type, param: None, code } }
    }
}

/// Becomes the form of a protocol in the outermost layer, which knows the path.
impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<offshoot::Error> for Fault {
    fn from(error: offshoot::Error) -> Self {
        use offshoot::Error as E;
        match error {
            E::Head(error) => error.into(),
            E::TooLong { .. } | E::Argument(_) | E::Example { .. } | E::Weights { .. } => {
                Self::invalid(error.to_string())
            }
            E::NoExample { what, .. } => Self::new(
                Kind::NotFound,
                format!("there is no example {what} in this learner; nothing was changed"),
            ),
            E::Sums { example, reason, .. } => Self::new(
                Kind::Conflict,
                format!("the example {example} cannot be summed: {reason}"),
            ),
            E::NothingToUndo { .. } => {
                Self::new(Kind::Conflict, "there is nothing to undo: the history is empty")
            }
            E::Forgotten { examples, .. } => Self::new(
                Kind::Conflict,
                format!("the last update forgot {examples} examples, which cannot be brought back"),
            ),
            E::Busy { .. } => Self::new(
                Kind::Unavailable,
                "another process uses the learner; try again, nothing was changed",
            ),
            other => Self::internal(other),
        }
    }
}

impl From<offshoot_adapters::Error> for Fault {
    fn from(error: offshoot_adapters::Error) -> Self {
        use offshoot_adapters::Error as E;
        match error {
            E::Io { .. } => Self::internal(error),
            E::NoExamples | E::OneClass { .. } => Self::new(Kind::Conflict, error.to_string()),
            _ => Self::invalid(error.to_string()),
        }
    }
}
