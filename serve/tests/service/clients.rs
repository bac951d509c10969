//! Published Python clients, unchanged, where they can be installed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::client::Service;

/// What is installed, at versions that do not change under the tests.
const PACKAGES: [&str; 3] = ["openai==3.57.0", "huggingface_hub==2.4.0", "numpy==2.4.0"];

/// The output of a command that succeeded.
fn done(command: &mut Command) -> Result<Output, String> {
    let told = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{told}: {error}"))?;
    match output.status.success() {
        true => Ok(output),
        false => Err(format!("{told}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Python with the clients, in an environment that is made once and kept.
fn python() -> Result<PathBuf, String> {
    let cache = offshoot::cache_dir().map_err(|error| error.to_string())?;
    let name = PACKAGES.join("-").replace("==", "-");
    let folder = cache.join("test-clients").join(name);
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let ready = folder.join("ready");
    // One process makes it; others wait.
    let lock = File::create(folder.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let (system, own) =
        if cfg!(windows) { ("python", "Scripts/python.exe") } else { ("python3", "bin/python") };
    let own = folder.join("venv").join(own);
    if !ready.exists() {
        done(Command::new(system).args(["-m", "venv", "--clear"]).arg(folder.join("venv")))?;
        let options = ["--quiet", "--disable-pip-version-check", "--retries", "1"];
        let install = ["-m", "pip", "install", "--only-binary=:all:"];
        done(Command::new(&own).args(install).args(options).args(PACKAGES))?;
        std::fs::write(&ready, "").map_err(|error| error.to_string())?;
    }
    Ok(own)
}

#[test]
fn published_clients_get_the_vectors_of_a_plain_request() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            eprintln!("not tested, since the Python clients cannot be installed: {reason}");
            return;
        }
    };
    let service = Service::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/check.py");
    let mut command = Command::new(python);
    command.arg(script).arg(format!("http://{}", service.address)).arg("tiny");
    // No proxy stands before the service, which gets no token of anyone.
    command.env("NO_PROXY", "127.0.0.1").env("HF_HUB_DISABLE_TELEMETRY", "1");
    command.env("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1").env_remove("HF_TOKEN");
    let output = done(&mut command).unwrap_or_else(|reason| panic!("{reason}"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    for client in ["openai", "huggingface_hub"] {
        assert!(told.contains(&format!("{client} agrees")), "{told}");
    }
}
