//! What is served, where, and within which limits.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use offshoot::OpenOptions;

/// A bundle and the name under which clients ask for it.
#[derive(Debug, Clone)]
pub struct Served {
    /// The name; the bundle's own when there is none.
    pub name: Option<String>,
    /// The bundle.
    pub path: PathBuf,
}

/// A certificate and its key, both in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and after it those of its issuers, without the root.
    pub certificate: PathBuf,
    /// The private key, not encrypted.
    pub key: PathBuf,
}

/// How the service runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The bundles, the first of which answers where a protocol names none.
    pub bundles: Vec<Served>,
    /// Where it listens.
    pub address: SocketAddr,
    /// A Unix socket to listen on instead, which only this user may open.
    pub socket: Option<PathBuf>,
    /// Whether each request is told on standard error, as a line of JSON.
    pub log: bool,
    /// The collector of OpenTelemetry that is sent a span for each request, by OTLP over HTTP:
    /// `http://127.0.0.1:4318`. Needs the feature `opentelemetry`.
    pub traces: Option<String>,
    /// TLS by this certificate; without one the service speaks plainly.
    pub tls: Option<TlsFiles>,
    /// The file of keys; without one everyone who reaches the address may do everything.
    pub keys: Option<PathBuf>,
    /// Origins whose pages may speak to the service besides its own, each written as browsers
    /// do: `https://app.example.org`.
    pub origins: Vec<String>,
    /// The folder of learners.
    pub data: PathBuf,
    /// How encoders are opened.
    pub open: OpenOptions,
    /// Most tokens that wait for their turn; beyond them requests are refused with 429.
    pub queue_tokens: usize,
    /// Most inputs of a request.
    pub max_inputs: usize,
    /// Most bytes of a request, unpacked.
    pub max_bytes: usize,
    /// Most numbers of the vectors of an answer of `/embed_all`.
    pub max_numbers: usize,
    /// Most bytes of a learner's file that is sent to be taken in.
    pub max_learner_bytes: u64,
    /// Most connections that are open at a time; more wait until one is closed.
    pub connections: usize,
    /// How long the head of a request may take, and a connection may stay without a request;
    /// and how long agreeing on TLS may.
    pub head_timeout: Duration,
    /// How long a client may pause while it sends a body or takes an answer.
    pub body_timeout: Duration,
    /// How long a request may take.
    pub timeout: Duration,
    /// How long requests in progress are waited for at the end.
    pub drain: Duration,
}

impl Config {
    /// The defaults for these bundles: 127.0.0.1, port 8080.
    #[must_use]
    pub fn new(bundles: Vec<Served>, data: PathBuf) -> Self {
        Self {
            bundles,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            socket: None,
            log: false,
            traces: None,
            tls: None,
            keys: None,
            origins: Vec::new(),
            data,
            open: OpenOptions::new(),
            queue_tokens: 1 << 18,
            max_inputs: 2048,
            max_bytes: 16 << 20,
            max_numbers: 4 << 20,
            max_learner_bytes: 256 << 20,
            connections: 1024,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            timeout: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}
