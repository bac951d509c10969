//! From a configuration to a service that listens, and its orderly end.

mod begun;
mod connections;
mod cors;
pub(crate) mod layers;
mod listen;
mod process;
#[cfg(unix)]
mod systemd;
mod through;
mod tls;
#[cfg(feature = "opentelemetry")]
mod traces;
mod watched;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::{Extension, Router};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::auth::KeyFile;
use crate::bundles::Bundles;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::protocols;
use crate::protocols::learners::Learners;
use connections::Patience;
use listen::Listening;
pub use process::run;
use tls::Tls;
#[cfg(feature = "opentelemetry")]
use traces::Traces;

/// Smaller answers are sent as they are: on one machine compressing takes longer than sending.
const COMPRESSED_FROM: u64 = 32 << 10;

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) bundles: Bundles,
    pub(crate) learners: Learners,
    pub(crate) keys: Option<KeyFile>,
    pub(crate) metrics: Arc<Metrics>,
    /// Pages of these origins may speak to the service, besides its own.
    pub(crate) origins: Vec<HeaderValue>,
    tls: Option<Arc<Tls>>,
    #[cfg(feature = "opentelemetry")]
    traces: Option<Traces>,
    draining: watch::Sender<bool>,
}

impl App {
    fn new(config: Config) -> Result<Arc<Self>> {
        let origins = cors::origins(&config.origins)?;
        let keys = config.keys.as_deref().map(KeyFile::open).transpose()?;
        let tls = config.tls.as_ref().map(Tls::open).transpose()?.map(Arc::new);
        #[cfg(feature = "opentelemetry")]
        let traces = config.traces.as_deref().map(Traces::to).transpose()?;
        #[cfg(not(feature = "opentelemetry"))]
        if config.traces.is_some() {
            return Err(Error::Argument(
                "this program was built without traces; build it with `--features opentelemetry`"
                    .into(),
            ));
        }
        let metrics = Arc::new(Metrics::default());
        let bundles = Bundles::new(&config, &metrics)?;
        let learners = Learners::new(&config.data)?;
        Ok(Arc::new(Self {
            config,
            bundles,
            learners,
            keys,
            metrics,
            origins,
            tls,
            #[cfg(feature = "opentelemetry")]
            traces,
            draining: watch::Sender::new(false),
        }))
    }

    fn doubt(&self) -> Option<String> {
        let tls = self.config.tls.as_ref()?;
        let doubt = self.tls.as_ref()?.doubt()?;
        Some(format!(
            "the certificate {} {doubt}; clients will refuse it",
            tls.certificate.display()
        ))
    }

    /// Whether the service ends.
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// A service that listens.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    listener: Listening,
}

impl Server {
    /// Checks bundles, keys and the folder of learners, and listens. Encoders are opened when
    /// they are first needed.
    ///
    /// # Errors
    /// Those of bundles; [`Error::Keys`], [`Error::Tls`], [`Error::Io`]; [`Error::Argument`] for an address
    /// that others reach without keys, and for what is no origin.
    pub async fn bind(config: Config) -> Result<Self> {
        if config.socket.is_none() {
            refuse_open(&config, config.address)?;
        }
        let app = App::new(config)?;
        let listener = Listening::start(&app.config).await?;
        Ok(Self { app, listener })
    }

    /// As [`Server::bind`], on a socket that is listened on already.
    #[cfg(unix)]
    fn take(config: Config, socket: systemd::HandedOver) -> Result<Self> {
        let listener = Listening::take(socket)?;
        if let Some(address) = listener.address() {
            refuse_open(&config, address)?;
        }
        Ok(Self { app: App::new(config)?, listener })
    }

    /// Begins to open the first bundle. A request for it that comes meanwhile waits for that, and
    /// is told what is wrong where it fails.
    fn open_first(&self) {
        if let Ok(model) = self.app.bundles.get(None) {
            tokio::task::spawn_blocking(move || drop(model.open_now()));
        }
    }

    /// Where it listens; none on a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.address()
    }

    /// What clients will find wrong with its certificate, which it presents all the same.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        self.app.doubt()
    }

    /// Serves until `stop` is ready, and then until requests in progress are answered, or for
    /// [`Config::drain`] at most.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) {
        let Self { app, listener } = self;
        let router = router(&app);
        let mut ending = app.draining.subscribe();
        let drain = app.config.drain;
        let stopper = app.clone();
        let stopping = async move {
            stop.await;
            stopper.draining.send_replace(true);
        };
        let patience = Patience {
            connections: app.config.connections,
            head: app.config.head_timeout,
            silence: app.config.body_timeout,
        };
        let serving = listener.serve(router, patience, app.tls.clone(), stopping);
        let late = async move {
            let _ = ending.wait_for(|ending| *ending).await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            () = serving => {}
            () = late => {}
        }
        #[cfg(feature = "opentelemetry")]
        if app.traces.is_some() {
            let end = move || app.traces.iter().for_each(Traces::end);
            let _ = tokio::task::spawn_blocking(end).await;
        }
    }

    /// What opens bundles and reads keys and the certificate again, from any thread, while the service runs.
    #[must_use]
    pub fn reload(&self) -> Reload {
        Reload { app: self.app.clone() }
    }
}

/// Opens bundles again that were replaced on disk, and reads keys and certificates again.
#[derive(Debug, Clone)]
pub struct Reload {
    app: Arc<App>,
}

impl Reload {
    /// Opens those that changed and serves them from then on; gives for each name whether it
    /// is a new one. Requests in progress end with the encoder that they began with, and one
    /// that cannot be opened does not take the place of one that can. Blocks.
    pub fn run(&self) -> Vec<(String, Result<bool>)> {
        self.app.bundles.reload()
    }

    /// Reads the file of keys again, if there is one; gives whether its keys are others. From
    /// then on only they are known: one that is no longer in the file opens nothing. Blocks.
    ///
    /// # Errors
    /// [`Error::Keys`], [`Error::Io`]; [`Error::Argument`] for a file without keys. The keys
    /// then stay as they were.
    pub fn keys(&self) -> Result<bool> {
        self.app.keys.as_ref().map_or(Ok(false), KeyFile::reload)
    }

    /// Reads the certificate and its key again, if there are any; gives whether they are
    /// others. Connections that are open keep what they agreed on. Blocks.
    ///
    /// # Errors
    /// [`Error::Tls`], [`Error::Io`]. What was presented then stays.
    pub fn certificate(&self) -> Result<bool> {
        self.app.tls.as_ref().map_or(Ok(false), |tls| tls.reload())
    }
}

fn router(app: &Arc<App>) -> Router {
    let limit = app.config.max_bytes;
    let (router, api) = protocols::router().merge(crate::page::router()).split_for_parts();
    let router = router
        .layer(Extension(Arc::new(api)))
        .layer(DefaultBodyLimit::max(limit))
        .layer(CatchPanicLayer::custom(|_| {
            Fault::internal("a handler panicked; please report it").into_response()
        }))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(COMPRESSED_FROM)))
        .layer(RequestDecompressionLayer::new())
        .layer(RequestBodyTimeoutLayer::new(app.config.body_timeout))
        .layer(from_fn_with_state(app.clone(), layers::guard))
        .layer(from_fn_with_state(app.clone(), layers::outermost))
        .with_state(app.clone());
    match app.origins.is_empty() {
        true => router,
        false => router.layer(cors::layer(app.origins.clone())),
    }
}

/// Without keys nobody but this machine is answered.
fn refuse_open(config: &Config, address: SocketAddr) -> Result<()> {
    if address.ip().is_loopback() || config.keys.is_some() {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "at {address} other machines would reach the service; give --keys FILE, or listen on \
         127.0.0.1"
    )))
}
