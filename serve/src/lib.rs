//! The HTTP service: embeddings and few-shot learning for programs in any language, and a
//! page on which a person teaches.
//!
//! [`run`] serves until it is told to stop. What it answers:
//!
//! | routes | protocol | errors |
//! | --- | --- | --- |
//! | `/v1/embeddings`, `/v1/models` | OpenAI's | OpenAI's |
//! | `/embed`, `/embed_all`, `/predict`, `/similarity`, `/tokenize`, `/decode`, `/info`, `/health`, `POST /` | Text Embeddings Inference's | its own |
//! | `/v1/embed` | lines of JSON, of any number | problem details |
//! | `/v1/learners…` | learners, see [`protocols`] | problem details, RFC 9457 |
//! | `/ready`, `/metrics`, `/openapi.json` | readiness, Prometheus's text format, all routes in OpenAPI 3.1 | problem details |
//! | `GET /` | the teaching page | |
//!
//! Without [`Config::keys`] this machine alone is answered. Other machines need keys, which
//! [`Config::tls`] keeps from being read on the way; pages of other origins need a place in
//! [`Config::origins`]. As a unit of systemd (`serve/systemd` has a pair) [`run`] serves the socket
//! that it is handed and says when it is ready, alive and ending. With the feature
//! `opentelemetry`, [`Config::traces`] names a collector that is sent a span for each request.
#![forbid(unsafe_code)]

mod auth;
mod batching;
mod bundles;
mod config;
mod error;
mod fault;
mod metrics;
mod openapi;
mod page;
pub mod protocols;
mod server;
mod timing;

pub use auth::new_key;
pub use config::{Config, Served, TlsFiles};
pub use error::{Error, Result};
pub use server::{Reload, Server, run};
