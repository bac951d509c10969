//! Bodies: JSON, read whole, with errors that say where.

use std::error::Error;
use std::io;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use tower_http::timeout::TimeoutError;

use crate::fault::{Fault, Kind};

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Fault::new(Kind::MediaType, "send JSON as application/json"));
        }
        let bytes =
            Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))?;
        serde_json::from_slice(&bytes)
            .map(Body)
            .map_err(|error| Fault::invalid(format!("the JSON cannot be used: {error}")))
    }
}

/// Why a body could not be read.
fn unread(rejection: &BytesRejection) -> Fault {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Fault::new(Kind::TooLarge, "the request has too many bytes; send less at once")
        }
        _ => broken(rejection),
    }
}

/// Why a body ends before its end.
pub(crate) fn broken(error: &(dyn Error + 'static)) -> Fault {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // What unpacks a body hides the cause in an error of its own.
        let hidden = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<TimeoutError>() {
            return Fault::new(
                Kind::Stalled,
                "the body of the request did not arrive in time; send it without pauses",
            );
        }
        cause = match hidden {
            Some(hidden) => Some(hidden),
            None => error.source(),
        };
    }
    Fault::invalid("the body of the request ended early, or is not packed by gzip as it says")
}
