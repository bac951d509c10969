//! The service as clients see it: a real server on a free port, with tiny encoders.

mod client;
mod clients;
mod connections;
mod cors;
mod document;
mod each_token;
mod embeddings;
mod installed;
#[cfg(unix)]
mod killed;
mod learners;
mod page;
mod private;
mod safety;
mod tls;
mod traces;
mod upload;
