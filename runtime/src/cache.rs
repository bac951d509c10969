//! Where files that can be made again are kept.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// The folder for everything that Offshoot can make or obtain again: downloaded
/// packages and prepacked weights.
///
/// The first of: the environment variable `OFFSHOOT_CACHE`; `XDG_CACHE_HOME/offshoot`;
/// the system's usual place (`~/.cache/offshoot` on Linux, `~/Library/Caches/offshoot`
/// on macOS, `%LOCALAPPDATA%\offshoot` on Windows). The folder need not exist.
///
/// # Errors
/// [`Error::NoCacheDir`] when none of these is set.
pub fn cache_dir() -> Result<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(dir) = var("OFFSHOOT_CACHE") {
        return Ok(dir);
    }
    let base = var("XDG_CACHE_HOME").or_else(|| {
        if cfg!(windows) {
            var("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            var("HOME").map(|home| home.join("Library").join("Caches"))
        } else {
            var("HOME").map(|home| home.join(".cache"))
        }
    });
    base.map(|dir| dir.join("offshoot")).ok_or(Error::NoCacheDir)
}
