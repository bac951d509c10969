//! The first byte on an address that speaks TLS: what a client means by it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::through::write_through;

/// What a client is told that speaks HTTP without TLS.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 46\r\nconnection: close\r\n\r\nthis address speaks TLS; begin it by https://\n";
/// Most bytes of its request that are read before the connection is closed.
const REST: u64 = 1 << 16;

/// A stream of which the first byte is known.
pub(super) struct Begun<S> {
    first: Option<u8>,
    inner: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Begun<S> {
    /// Waits for the first byte. A client that speaks HTTP without TLS is told so, and gives an
    /// error.
    pub(super) async fn wait(mut inner: S) -> io::Result<Self> {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        poll_fn(|context| Pin::new(&mut inner).poll_read(context, &mut buffer)).await?;
        let first = buffer.filled().first().copied();
        // Methods are in capitals; a handshake begins with 22, RFC 8446 section 5.1.
        if first.is_some_and(|byte| byte.is_ascii_uppercase()) {
            inner.write_all(PLAIN).await?;
            inner.shutdown().await?;
            // A connection that is closed before it was read to its end takes the answer along.
            tokio::io::copy(&mut inner.take(REST), &mut tokio::io::sink()).await?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self { first, inner })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

write_through!(Begun);
