//! The service as a process: signals, and what systemd hands over and is told.

use std::net::SocketAddr;
#[cfg(unix)]
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Server;
#[cfg(unix)]
use super::{Reload, systemd};
use crate::config::Config;
use crate::error::{Error, Result};

/// Serves until SIGINT or SIGTERM, and calls `started` once it listens, with the
/// address unless that is a Unix socket. Then opens the first bundle, which most requests will be
/// for, without waiting for one. Takes the socket that systemd hands over, if it does,
/// in place of those of the configuration, and tells it when the service is ready, alive and
/// ending.
///
/// # Errors
/// As [`Server::bind`]; [`Error::Argument`] for sockets that cannot be served.
pub fn run(config: Config, started: impl FnOnce(Option<SocketAddr>)) -> Result<()> {
    #[cfg(unix)]
    let socket = systemd::handed_over()?;
    let _loading = Loading::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::io("start", "the service's threads"))?;
    runtime.block_on(async {
        #[cfg(unix)]
        let server = match socket {
            Some(socket) => Server::take(config, socket)?,
            None => Server::bind(config).await?,
        };
        #[cfg(not(unix))]
        let server = Server::bind(config).await?;
        #[cfg(unix)]
        reload_at_hangup(server.reload())?;
        if let Some(doubt) = server.doubt() {
            eprintln!("warning: {doubt}");
        }
        started(server.address());
        server.open_first();
        #[cfg(unix)]
        if let Some(supervisor) = systemd::Supervisor::of_environment().map(Arc::new) {
            supervisor.tell("READY=1");
            let (watching, app) = (supervisor.clone(), server.app.clone());
            let watching = tokio::spawn(async move { watching.watch(&app).await });
            let stopped = async move {
                stopped().await;
                supervisor.tell("STOPPING=1");
            };
            server.serve(stopped).await;
            watching.abort();
            return Ok(());
        }
        server.serve(stopped()).await;
        Ok::<_, Error>(())
    })?;
    // Blocking work that nobody waits for does not hold the end up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// ONNX Runtime being loaded, which takes longer than all else until the first answer and needs
/// nothing of it. Why that fails is told where it is needed.
struct Loading(Option<JoinHandle<()>>);

impl Loading {
    fn start() -> Self {
        let load = || drop(offshoot::Engine::load());
        Self(std::thread::Builder::new().name("offshoot-load".into()).spawn(load).ok())
    }
}

impl Drop for Loading {
    /// A process must not end while the library is being set up.
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

async fn stopped() {
    let interrupt = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! { () = interrupt => {}, _ = terminate.recv() => {} }
            }
            Err(_) => interrupt.await,
        }
    }
    #[cfg(not(unix))]
    interrupt.await;
}

/// Opens bundles again that were replaced and reads keys and the certificate again, at each
/// SIGHUP, and tells what came of it.
#[cfg(unix)]
fn reload_at_hangup(reload: Reload) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup()).map_err(Error::io("wait for", "SIGHUP"))?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let reload = reload.clone();
            let _ = tokio::task::spawn_blocking(move || tell(&reload)).await;
        }
    });
    Ok(())
}

/// Reads everything again.
#[cfg(unix)]
fn tell(reload: &Reload) {
    for (name, result) in reload.run() {
        match result {
            Ok(true) => eprintln!("{name}: the new bundle is served"),
            Ok(false) => {}
            Err(error) => eprintln!("error: {name} stays as it was: {error}"),
        }
    }
    match reload.keys() {
        Ok(true) => eprintln!("the keys are those that the file holds now"),
        Ok(false) => {}
        Err(error) => eprintln!("error: the keys stay as they were: {error}"),
    }
    match reload.certificate() {
        Ok(true) => eprintln!("the new certificate is presented"),
        Ok(false) => {}
        Err(error) => eprintln!("error: the certificate stays as it was: {error}"),
    }
    if let Some(doubt) = reload.app.doubt() {
        eprintln!("warning: {doubt}");
    }
}
