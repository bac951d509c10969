//! Where the service listens.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};

use super::connections::{Patience, serve};
#[cfg(unix)]
use super::systemd::HandedOver;
use super::tls::Tls;
use crate::config::Config;
use crate::error::{Error, Result};

/// An address or a socket that is listened on.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

impl Listening {
    pub(super) async fn start(config: &Config) -> Result<Self> {
        match &config.socket {
            #[cfg(unix)]
            Some(path) => Ok(Self::Unix(socket(path)?)),
            #[cfg(not(unix))]
            Some(_) => Err(Error::Argument("this system has no Unix sockets".into())),
            None => TcpListener::bind(config.address)
                .await
                .map(Self::Tcp)
                .map_err(Error::io("listen on", config.address)),
        }
    }

    /// Listens on a socket that systemd opened.
    #[cfg(unix)]
    pub(super) fn take(socket: HandedOver) -> Result<Self> {
        let taken = match socket {
            HandedOver::Tcp(listener) => listener
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(listener))
                .map(Self::Tcp),
            HandedOver::Unix(listener) => listener
                .set_nonblocking(true)
                .and_then(|()| tokio::net::UnixListener::from_std(listener))
                .map(Self::Unix),
        };
        taken.map_err(Error::io("listen on", "the socket that was handed over"))
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    /// Serves until `stop` is ready and requests in progress are answered.
    pub(super) async fn serve(
        self,
        router: Router,
        patience: Patience,
        tls: Option<Arc<Tls>>,
        stop: impl Future<Output = ()> + Send,
    ) {
        match self {
            Self::Tcp(listener) => serve(NoDelay(listener), router, patience, tls, stop).await,
            #[cfg(unix)]
            Self::Unix(listener) => serve(listener, router, patience, tls, stop).await,
        }
    }
}

/// Listens on a socket that only this user may open. One that a process left behind is
/// replaced.
#[cfg(unix)]
fn socket(path: &std::path::Path) -> Result<tokio::net::UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let failed = || Error::io("listen on", path.display());
    let is_socket = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path).map_err(failed())?;
    }
    let listener = tokio::net::UnixListener::bind(path).map_err(failed())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed())?;
    Ok(listener)
}

/// Connections that send small answers at once.
struct NoDelay(TcpListener);

impl axum::serve::Listener for NoDelay {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => {
                    let _ = stream.set_nodelay(true);
                    return (stream, address);
                }
                // Out of file descriptors, or a connection that was already gone.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}
