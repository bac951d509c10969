//! Published clients and browsers: obtained once, at versions that do not change under the tests.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The output of a command that succeeded.
pub(crate) fn done(command: &mut Command) -> Result<Output, String> {
    let told = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{told}: {error}"))?;
    match output.status.success() {
        true => Ok(output),
        false => Err(format!(
            "{told}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// A folder of the cache in which `install` has put what is named, once.
fn kept(name: &str, install: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let cache = offshoot::cache_dir().map_err(|error| error.to_string())?;
    let folder = cache.join("test-clients").join(name);
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let ready = folder.join("ready");
    // One process makes it; others wait.
    let lock = File::create(folder.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if !ready.exists() {
        install(&folder)?;
        std::fs::write(&ready, "").map_err(|error| error.to_string())?;
    }
    Ok(folder)
}

/// Python with packages, in an environment that is made once and kept.
pub(crate) fn python(packages: &[&str]) -> Result<PathBuf, String> {
    let (system, own) =
        if cfg!(windows) { ("python", "Scripts/python.exe") } else { ("python3", "bin/python") };
    let own = Path::new("venv").join(own);
    let folder = kept(&packages.join("-").replace("==", "-"), |folder| {
        done(Command::new(system).args(["-m", "venv", "--clear"]).arg(folder.join("venv")))?;
        let options = ["--quiet", "--disable-pip-version-check", "--retries", "1"];
        let install = ["-m", "pip", "install", "--only-binary=:all:"];
        done(Command::new(folder.join(&own)).args(install).args(options).args(packages))?;
        Ok(())
    })?;
    Ok(folder.join(own))
}

/// A script of `tests/clients` beside packages of npm, which are installed once and kept.
pub(crate) struct Script {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Script {
    pub(crate) fn new(name: &'static str, packages: &[&str]) -> Result<Self, String> {
        let kept = kept(&packages.join("-").replace('@', "-"), |folder| {
            std::fs::write(folder.join("package.json"), "{\"private\": true}")
                .map_err(|error| error.to_string())?;
            let options = ["install", "--ignore-scripts", "--no-audit", "--no-fund"];
            let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
            let mut command = Command::new(npm);
            command.args(options).args(["--fetch-retries", "1"]).args(packages);
            done(command.current_dir(folder)).map(drop)
        })?;
        // Modules are looked for from where a script lies.
        let folder = tempfile::tempdir_in(kept).map_err(|error| error.to_string())?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
        std::fs::copy(source, folder.path().join(name)).map_err(|error| error.to_string())?;
        Ok(Self { folder, name })
    }

    /// Node, about to run it.
    pub(crate) fn node(&self) -> Command {
        let mut command = Command::new("node");
        command.arg(self.folder.path().join(self.name));
        command
    }
}

/// The program of a Chromium, where `CHROMIUM` or the path has one.
pub(crate) fn chromium() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("CHROMIUM").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let folders: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let all = folders.iter().flat_map(|folder| names.map(|name| folder.join(name)));
    all.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        format!("none of {} is on the path, and CHROMIUM names none", names.join(", "))
    })
}
