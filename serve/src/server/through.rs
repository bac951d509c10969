//! Streams around another one, to which what they write goes as it is.

/// Writes a stream's bytes to its field `inner`. `$after` gives what a call came to, from what it
/// came to there.
macro_rules! write_through {
    ($stream:ident) => {
        write_through!($stream, |_stream, _context, result| result);
    };
    ($stream:ident, |$this:ident, $context:ident, $result:ident| $after:expr) => {
        impl<S: ::tokio::io::AsyncWrite + Unpin> ::tokio::io::AsyncWrite for $stream<S> {
            fn poll_write(
                mut self: ::std::pin::Pin<&mut Self>,
                $context: &mut ::std::task::Context<'_>,
                bytes: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let $result = ::std::pin::Pin::new(&mut self.inner).poll_write($context, bytes);
                let $this = &mut *self;
                $after
            }

            fn poll_write_vectored(
                mut self: ::std::pin::Pin<&mut Self>,
                $context: &mut ::std::task::Context<'_>,
                parts: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                let inner = ::std::pin::Pin::new(&mut self.inner);
                let $result = inner.poll_write_vectored($context, parts);
                let $this = &mut *self;
                $after
            }

            fn poll_flush(
                mut self: ::std::pin::Pin<&mut Self>,
                $context: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let $result = ::std::pin::Pin::new(&mut self.inner).poll_flush($context);
                let $this = &mut *self;
                $after
            }

            fn poll_shutdown(
                mut self: ::std::pin::Pin<&mut Self>,
                $context: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                let $result = ::std::pin::Pin::new(&mut self.inner).poll_shutdown($context);
                let $this = &mut *self;
                $after
            }

            fn is_write_vectored(&self) -> bool {
                self.inner.is_write_vectored()
            }
        }
    };
}

pub(super) use write_through;
