//! Connections: how many, how long each may be silent, and their orderly end.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Requests of one HTTP/2 connection that are answered at a time.
const STREAMS: u32 = 256;
/// What an HTTP/2 client sends first, RFC 9113 section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Most connections that are open at a time. More wait until one is closed.
    pub(super) connections: usize,
    /// How long the head of a request may take, and a connection may wait for its next request.
    pub(super) head: Duration,
    /// How long a client may leave an answer untaken.
    pub(super) silence: Duration,
}

/// Serves connections until `stop` is ready and requests in progress are answered.
pub(super) async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    patience: Patience,
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
        let builder = builder.clone();
        let service = TowerToHyperService::new(router.clone());
        let mut end = end.clone();
        tokio::spawn(async move {
            let io = TokioIo::new(Watched::new(stream, patience));
            let mut connection = pin!(builder.serve_connection(io, service));
            // A connection that fails is closed, which is all that a client can be told.
            tokio::select! {
                _ = connection.as_mut() => {}
                _ = end.changed() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop((place, end));
        });
    }
    drop((listener, end));
    ending.send_replace(());
    ending.closed().await;
}

/// A stream that fails when its client leaves open which protocol it speaks, or does not take
/// what it is sent. The rest of a client's silence is measured where requests are read.
struct Watched<S> {
    inner: S,
    /// How many bytes of [`PREFACE`] were read; none once something else or all of it was.
    preface: Option<usize>,
    opening: Pin<Box<Sleep>>,
    silence: Duration,
    untaken: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    fn new(inner: S, patience: Patience) -> Self {
        let Patience { head, silence, .. } = patience;
        let opening = Box::pin(sleep_until(Instant::now() + head));
        Self { inner, preface: Some(0), opening, silence, untaken: None }
    }

    /// Notes what was read.
    fn read(&mut self, bytes: &[u8]) {
        let Some(before) = self.preface else { return };
        let rest = PREFACE.get(before..).unwrap_or_default();
        let undecided = bytes.len() < rest.len() && rest.starts_with(bytes);
        self.preface = undecided.then_some(before + bytes.len());
    }

    /// Measures how long `result` has to be waited for.
    fn taken<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.untaken = None;
            return result;
        }
        let silence = self.silence;
        let untaken = self.untaken.get_or_insert_with(|| Box::pin(sleep(silence)));
        ready!(untaken.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        if result.is_ready() {
            self.read(buffer.filled().get(before..).unwrap_or_default());
            return result;
        }
        if self.preface.is_some() {
            ready!(self.opening.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.taken(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.taken(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
