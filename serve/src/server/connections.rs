//! Connections: how many, how long each may be silent, and their orderly end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::begun::Begun;
use super::tls::Tls;
use super::watched::{Opening, Taken};

/// Requests of one HTTP/2 connection that are answered at a time.
const STREAMS: u32 = 256;

/// What a connection may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Most connections that are open at a time. More wait until one is closed.
    pub(super) connections: usize,
    /// How long the head of a request may take, and a connection may wait for its next request;
    /// and how long agreeing on TLS may.
    pub(super) head: Duration,
    /// How long a client may leave an answer untaken.
    pub(super) silence: Duration,
}

/// Serves connections until `stop` is ready and requests in progress are answered.
pub(super) async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    patience: Patience,
    tls: Option<Arc<Tls>>,
    stop: impl Future<Output = ()> + Send,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience.head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(patience.head)
        .keep_alive_timeout(patience.head);
    let places = Arc::new(Semaphore::new(patience.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let (ending, end) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await.0, place)
        };
        let (stream, place) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        let talk = Talk { builder: builder.clone(), router: router.clone(), end: end.clone() };
        let config = tls.as_ref().map(|tls| tls.now());
        tokio::spawn(async move {
            let opening = Instant::now() + patience.head;
            let stream = Taken::new(stream, patience.silence);
            match config {
                None => talk.with(stream, opening).await,
                Some(config) => {
                    let agreed = async {
                        TlsAcceptor::from(config).accept(Begun::wait(stream).await?).await
                    };
                    let mut end = talk.end.clone();
                    // Who has not agreed by the end has asked nothing.
                    let agreed = tokio::select! {
                        agreed = timeout_at(opening, agreed) => agreed,
                        _ = end.changed() => return,
                    };
                    // Of a failure the client was told what may be told.
                    if let Ok(Ok(stream)) = agreed {
                        talk.with(stream, Instant::now() + patience.head).await;
                    }
                }
            }
            drop(place);
        });
    }
    drop((listener, end));
    ending.send_replace(());
    ending.closed().await;
}

/// What a connection needs to be served.
struct Talk {
    builder: Builder<TokioExecutor>,
    router: Router,
    end: watch::Receiver<()>,
}

impl Talk {
    /// Answers requests until the connection is closed. By `opening` it must be known which
    /// version of HTTP the client speaks.
    async fn with(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        opening: Instant,
    ) {
        let service = TowerToHyperService::new(self.router);
        let io = TokioIo::new(Opening::new(stream, opening));
        let mut connection = pin!(self.builder.serve_connection(io, service));
        // A connection that fails is closed, which is all that a client can be told.
        tokio::select! {
            _ = connection.as_mut() => {}
            _ = self.end.changed() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}
