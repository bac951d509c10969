//! `offshoot serve`: embeddings and learners over HTTP, and the teaching page.

use std::net::SocketAddr;
use std::path::PathBuf;

use offshoot_serve::{Config, Served, TlsFiles, new_key};

use crate::encoder::EncoderArgs;
use crate::failure::{Code, Failure, Result};
use crate::files;
use crate::progress;

const EXAMPLES: &str = "\
Examples:
  offshoot serve minilm.offshoot
  offshoot serve text-embedding-3-small=minilm.offshoot photos.offshoot --listen 127.0.0.1:9000
  offshoot serve --new-key phone --keys keys.txt
  offshoot serve minilm.offshoot --keys keys.txt --listen 0.0.0.0:8443 \\
      --tls-certificate fullchain.pem --tls-key privkey.pem

Open the printed address to teach in a browser. Programs speak OpenAI's protocol (base URL \
ADDRESS/v1), that of Text Embeddings Inference (ADDRESS/embed), or /v1/learners. SIGTERM ends the \
service once requests in progress are answered; SIGHUP serves bundles that were replaced and reads the keys and the \
certificate again. A socket of systemd (LISTEN_FDS) takes the place of --listen and --socket.";

/// Serve embeddings and learners over HTTP, and a page to teach on
///
/// Listens on this machine only, unless told otherwise; other machines need a key. The first bundle
/// is opened at once, others when they are first asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundles, each with the name that clients ask for it by [default: the encoder's name]
    #[arg(value_name = "[NAME=]BUNDLE", required_unless_present = "new_key")]
    bundles: Vec<String>,
    /// Address and port; port 0 is any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A Unix socket to listen on instead
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    socket: Option<PathBuf>,
    /// Tell each request on standard error, as a line of JSON
    #[arg(long)]
    log: bool,
    /// Send a span for each request to this collector of OpenTelemetry, by OTLP over HTTP, for
    /// example `http://127.0.0.1:4318`; for programs built with the feature `opentelemetry`
    #[arg(long, value_name = "URL")]
    traces: Option<String>,
    /// The file of keys: only who has one is answered; it is read again at SIGHUP
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Speak TLS by this certificate, in PEM with those of its issuers after it; it is read again
    /// at SIGHUP
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "PEM", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Let pages of this origin speak to the service too, for example `https://app.example.org`;
    /// may be given several times
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,
    /// Make a key of this name, add it to the file of keys, print it once, and end
    #[arg(long, value_name = "NAME", requires = "keys")]
    new_key: Option<String>,
    /// The folder of learners
    #[arg(long, value_name = "FOLDER", default_value = "learners")]
    data: PathBuf,
    /// Give an encoder's memory back when it was not used for so many seconds
    #[arg(long, value_name = "SECONDS")]
    idle_unload: Option<u64>,
    /// Most seconds that a request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Most connections that are open at a time; more wait until one is closed
    #[arg(long, value_name = "N", default_value_t = 1024)]
    connections: usize,
    /// Most seconds until the head of a request has arrived, and that a connection stays open
    /// without one; and that agreeing on TLS takes
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    head_timeout: u64,
    /// Most seconds that a client may pause while it sends a body or takes an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    body_timeout: u64,
    /// Most bytes of a request, unpacked
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    max_bytes: usize,
    /// Most numbers of the vectors of an answer of /embed_all
    #[arg(long, value_name = "N", default_value_t = 4 << 20)]
    max_numbers: usize,
    /// Most bytes of a learner's file that is sent to be taken in
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    max_learner_bytes: u64,
    /// Most tokens that wait for their turn; requests beyond are refused with 429
    #[arg(long, value_name = "N", default_value_t = 1 << 18)]
    queue_tokens: usize,
    #[command(flatten)]
    encoder: EncoderArgs,
}

pub(crate) fn run(args: Args) -> Result {
    if let (Some(name), Some(keys)) = (&args.new_key, &args.keys) {
        return crate::output::print(&new_key(keys, name)?);
    }
    let bundles = args.bundles.iter().map(|text| served(text)).collect();
    let mut config = Config::new(bundles, args.data);
    config.address = args.listen;
    config.keys = args.keys;
    config.log = args.log;
    config.traces = args.traces;
    config.origins = args.cors_origin;
    config.tls = args
        .tls_certificate
        .zip(args.tls_key)
        .map(|(certificate, key)| TlsFiles { certificate, key });
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    config.socket = args.socket.clone();
    config.open =
        args.encoder.options()?.idle_unload(args.idle_unload.map(std::time::Duration::from_secs));
    let seconds = |n: u64| std::time::Duration::from_secs(n.clamp(1, 86_400));
    config.timeout = seconds(args.timeout);
    config.head_timeout = seconds(args.head_timeout);
    config.body_timeout = seconds(args.body_timeout);
    config.connections = args.connections;
    config.max_bytes = args.max_bytes;
    config.max_numbers = args.max_numbers;
    config.max_learner_bytes = args.max_learner_bytes;
    config.queue_tokens = args.queue_tokens;
    offshoot_serve::run(config, |address| match (address, &args.socket) {
        (Some(address), _) => progress::say(&format!("{scheme}://{address}/")),
        (None, Some(path)) => progress::say(&files::shell_path(path).to_string()),
        (None, None) => progress::say("the socket that was handed over"),
    })?;
    Ok(())
}

/// `NAME=BUNDLE`, or a bundle.
fn served(text: &str) -> Served {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !name.contains(std::path::is_separator) => {
            Served { name: Some(name.to_owned()), path: path.into() }
        }
        _ => Served { name: None, path: text.into() },
    }
}

impl From<offshoot_serve::Error> for Failure {
    fn from(error: offshoot_serve::Error) -> Self {
        use offshoot_serve::Error as E;
        match error {
            E::Runtime(error) => error.into(),
            E::Argument(_) => Self::usage(error.to_string()),
            E::Keys { .. } | E::Tls { .. } => Self::data(error.to_string()),
            other => Self::new(Code::Surroundings, other.to_string()),
        }
    }
}
