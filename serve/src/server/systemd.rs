//! What systemd hands over and is told: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).

use std::io;
use std::net::TcpListener;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use listenfd::ListenFd;
use tower_service::Service;

use super::App;
use crate::error::{Error, Result};

/// A socket that is listened on already.
#[derive(Debug)]
pub(super) enum HandedOver {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The socket that this process was started with, if there is one (`LISTEN_FDS`). To be called
/// once, before there are other threads.
pub(super) fn handed_over() -> Result<Option<HandedOver>> {
    let mut sockets = ListenFd::from_env();
    match sockets.len() {
        0 => return Ok(None),
        1 => {}
        n => {
            return Err(Error::Argument(format!(
                "{n} sockets were handed over (LISTEN_FDS), and one is served; leave one \
                 Listen… line in the socket unit"
            )));
        }
    }
    if let Ok(Some(listener)) = sockets.take_tcp_listener(0) {
        return Ok(Some(HandedOver::Tcp(listener)));
    }
    match sockets.take_unix_listener(0) {
        Ok(Some(listener)) => Ok(Some(HandedOver::Unix(listener))),
        _ => Err(Error::Argument(
            "the socket that was handed over (LISTEN_FDS) is no stream of TCP or Unix; use \
             ListenStream= in the socket unit"
                .into(),
        )),
    }
}

/// Where systemd wants to be told how the service does.
#[derive(Debug)]
pub(super) struct Supervisor {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How long it waits for a sign of life.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).
    pub(super) fn of_environment() -> Option<Self> {
        let address = address(&std::env::var("NOTIFY_SOCKET").ok()?).ok()?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        let own = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let microseconds = number("WATCHDOG_USEC").filter(|&n| own && n > 0);
        Some(Self { socket, address, watchdog: microseconds.map(Duration::from_micros) })
    }

    /// Tells a state. One that cannot be told is not: nothing else would be served by it.
    pub(super) fn tell(&self, state: &str) {
        let _ = self.socket.send_to_addr(state.as_bytes(), &self.address);
    }

    /// Gives a sign of life, twice in the time that is waited for one, as long as requests are
    /// answered and batches come to an end. Never ends.
    pub(super) async fn watch(&self, app: &Arc<App>) {
        let Some(every) = self.watchdog.map(|watchdog| watchdog / 2) else {
            return std::future::pending().await;
        };
        let mut router = super::router(app);
        let mut batches = None;
        loop {
            let answered = answers(&mut router, every).await;
            let now = app.metrics.batches();
            let stuck = app.bundles.waiting() > 0 && batches == Some(now);
            batches = Some(now);
            if answered && !stuck {
                self.tell("WATCHDOG=1");
            }
            tokio::time::sleep(every).await;
        }
    }
}

/// Whether a request through all layers is answered in time. At the end of the service 503 is
/// an answer, too.
async fn answers(router: &mut Router, within: Duration) -> bool {
    let request = Request::get("/health").header(header::HOST, "localhost").body(Body::empty());
    let Ok(request) = request else { return false };
    match tokio::time::timeout(within, router.call(request)).await {
        Ok(Ok(answer)) => !matches!(answer.status().as_u16(), 500 | 504),
        Err(_) => false,
    }
}

/// A path, or after `@` an abstract name.
fn address(text: &str) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = text.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use axum::routing::get;

    #[test]
    fn a_service_that_does_not_answer_gives_no_sign_of_life() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let alive = |router: Router, milliseconds| {
            let within = Duration::from_millis(milliseconds);
            runtime.block_on(async { answers(&mut router.clone(), within).await })
        };
        let of = |status: StatusCode| Router::new().route("/health", get(async move || status));
        assert!(alive(of(StatusCode::OK), 30_000));
        assert!(alive(of(StatusCode::SERVICE_UNAVAILABLE), 30_000));
        assert!(!alive(of(StatusCode::INTERNAL_SERVER_ERROR), 30_000));
        let silent = Router::new().route("/health", get(std::future::pending::<StatusCode>));
        assert!(!alive(silent, 20));
    }

    #[test]
    fn a_state_reaches_a_path_and_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let mut names = vec![path.to_str().unwrap().to_owned()];
        if cfg!(target_os = "linux") {
            names.push(format!("@offshoot-test-{}", std::process::id()));
        }
        for name in names {
            let address = address(&name).unwrap();
            let heard = UnixDatagram::bind_addr(&address).unwrap();
            let socket = UnixDatagram::unbound().unwrap();
            Supervisor { socket, address, watchdog: None }.tell("READY=1");
            let mut text = [0; 16];
            let n = heard.recv(&mut text).unwrap();
            assert_eq!(&text[..n], b"READY=1");
        }
    }
}
