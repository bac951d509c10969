//! Streams that fail when their client is silent where nothing else measures it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::through::write_through;

/// What an HTTP/2 client sends first, RFC 9113 section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose client must take what it is sent: the socket itself, below TLS.
pub(super) struct Taken<S> {
    inner: S,
    silence: Duration,
    untaken: Option<Pin<Box<Sleep>>>,
}

impl<S> Taken<S> {
    pub(super) fn new(inner: S, silence: Duration) -> Self {
        Self { inner, silence, untaken: None }
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

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

write_through!(Taken, |stream, context, result| stream.taken(context, result));

/// A stream whose client must make clear in time which version of HTTP it speaks. The rest of a
/// client's silence is measured where requests are read.
pub(super) struct Opening<S> {
    inner: S,
    /// How many bytes of [`PREFACE`] were read; none once something else or all of it was.
    preface: Option<usize>,
    until: Pin<Box<Sleep>>,
}

impl<S> Opening<S> {
    pub(super) fn new(inner: S, until: Instant) -> Self {
        Self { inner, preface: Some(0), until: Box::pin(sleep_until(until)) }
    }

    /// Notes what was read.
    fn read(&mut self, bytes: &[u8]) {
        let Some(before) = self.preface else { return };
        let rest = PREFACE.get(before..).unwrap_or_default();
        let undecided = bytes.len() < rest.len() && rest.starts_with(bytes);
        self.preface = undecided.then_some(before + bytes.len());
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
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
            ready!(self.until.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

write_through!(Opening);
