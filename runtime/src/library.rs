//! ONNX Runtime's shared library: where it is looked for, and how it is loaded.
//!
//! The library is looked for in this order, and the first one found is used:
//!
//! 1. the file that the environment variable `ORT_DYLIB_PATH` names;
//! 2. the folder of the running program, and `lib` in it;
//! 3. the cache folder ([`cached_library`]), where `offshoot quickstart` puts it;
//! 4. the system's own places for shared libraries.
//!
//! Published builds of ONNX Runtime record what they run in files of their own and
//! send it to their publisher. Nothing here does so: the variable
//! `ORT_DISABLE_TELEMETRY` is set to 1 before the library is loaded, unless it is
//! set already. A program that has threads which read the environment in C by then
//! sets it itself, before it starts them.
//!
//! An application that wants another one calls [`Engine::load_from`] before it
//! opens its first encoder, or gives the `ort` environment that it uses itself to
//! [`Engine::from_environment`].

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use ort::environment::Environment;

use crate::cache::cache_dir;
use crate::error::{Error, Result, engine};
use crate::memory;

/// The version of ONNX Runtime that this crate is tested with, and that
/// [`cached_library`] names.
pub const TESTED_VERSION: &str = "1.32.0";

/// The environment variable that names the library.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The environment variable that keeps ONNX Runtime from recording what it runs and
/// sending it to its publisher, which published builds do on all systems.
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// File name of the library of [`TESTED_VERSION`].
pub fn library_file_name() -> String {
    if cfg!(windows) {
        "onnxruntime.dll".into()
    } else if cfg!(target_os = "macos") {
        format!("libonnxruntime.{TESTED_VERSION}.dylib")
    } else {
        format!("libonnxruntime.so.{TESTED_VERSION}")
    }
}

/// The part of the cache folder's name that tells builds for different systems
/// apart: the tag of the published wheel. `None` where none is published.
const fn platform() -> Option<&'static str> {
    if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        Some("manylinux_2_28_x86_64")
    } else if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "aarch64")) {
        Some("manylinux_2_28_aarch64")
    } else if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
        Some("macosx_14_0_arm64")
    } else if cfg!(all(windows, target_arch = "x86_64")) {
        Some("win_amd64")
    } else if cfg!(all(windows, target_arch = "aarch64")) {
        Some("win_arm64")
    } else {
        None
    }
}

/// Where the library lies in the cache folder once it was obtained:
/// `CACHE/packages/onnxruntime-VERSION-PLATFORM/FILE`. `None` where no build is
/// published for this system, such as musl.
///
/// # Errors
/// [`Error::NoCacheDir`] when there is no cache folder.
pub fn cached_library() -> Result<Option<PathBuf>> {
    let Some(platform) = platform() else { return Ok(None) };
    let folder = format!("onnxruntime-{TESTED_VERSION}-{platform}");
    Ok(Some(cache_dir()?.join("packages").join(folder).join(library_file_name())))
}

/// ONNX Runtime, loaded. Cheap to clone; every clone is the same one.
///
/// A process has one: the first that is made. `ort` allows no second.
#[derive(Debug, Clone)]
pub struct Engine {
    environment: Environment,
    /// Whether sessions may use this crate's allocator.
    pooled: bool,
}

static LOADED: OnceLock<Engine> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

impl Engine {
    /// The process's ONNX Runtime, loaded now if it was not: see the
    /// [module](self) for where the library is looked for.
    ///
    /// # Errors
    /// [`Error::Library`] when no library is found, or the one found cannot be
    /// loaded or is too old.
    pub fn load() -> Result<Self> {
        Self::get_or_load(None)
    }

    /// As [`Self::load`], with the library at `path`. When one is already loaded,
    /// that one is returned: a process has only one.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_from(path: impl AsRef<Path>) -> Result<Self> {
        Self::get_or_load(Some(path.as_ref()))
    }

    /// Uses the environment of an application that works with `ort` by itself.
    pub fn from_environment(environment: Environment) -> Self {
        LOADED.get_or_init(|| Self::of(environment)).clone()
    }

    /// The `ort` environment, for an application's own sessions.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// What ONNX Runtime says of its build: branch, commit and compiler flags.
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    fn of(environment: Environment) -> Self {
        Self { pooled: memory::register(&environment), environment }
    }

    /// Whether sessions may use this crate's allocator.
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled
    }

    fn get_or_load(path: Option<&Path>) -> Result<Self> {
        if let Some(loaded) = LOADED.get() {
            return Ok(loaded.clone());
        }
        let _one_at_a_time = LOADING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(loaded) = LOADED.get() {
            return Ok(loaded.clone());
        }
        refuse_telemetry();
        let environment = environment_builder(path)?
            .with_name("offshoot")
            .with_telemetry(false)
            .build()
            .map_err(engine("start"))?;
        Ok(LOADED.get_or_init(|| Self::of(environment)).clone())
    }
}

/// Switches ONNX Runtime's telemetry off, unless somebody decided about it. The
/// option of its environment comes too late: the client starts with the library.
fn refuse_telemetry() {
    if std::env::var_os(NO_TELEMETRY).is_none() {
        // SAFETY: it is done once, under the lock of loading. Rust code reads the
        // environment under the standard library's own lock; the module's
        // documentation says what a program with readers in C has to do.
        unsafe { std::env::set_var(NO_TELEMETRY, "1") };
    }
}

#[cfg(not(feature = "load-dynamic"))]
fn environment_builder(_path: Option<&Path>) -> Result<ort::environment::EnvironmentBuilder> {
    Ok(ort::init())
}

#[cfg(feature = "load-dynamic")]
fn environment_builder(path: Option<&Path>) -> Result<ort::environment::EnvironmentBuilder> {
    let (path, found) = match path {
        Some(path) => (path.to_owned(), Found::Named),
        None => find()?,
    };
    ort::init_from(&path).map_err(|e| Error::Library(explain(&e, &path, found)))
}

/// How a library was found.
#[cfg(feature = "load-dynamic")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The application or the environment variable named it.
    Named,
    /// In a folder that was searched.
    Searched,
    /// It was not: the system's loader is asked for it.
    Unknown,
}

#[cfg(feature = "load-dynamic")]
fn find() -> Result<(PathBuf, Found)> {
    if let Some(named) = std::env::var_os(LIBRARY_VARIABLE).filter(|v| !v.is_empty()) {
        let named = PathBuf::from(named);
        if !named.is_file() {
            return Err(Error::Library(format!(
                "{LIBRARY_VARIABLE} is {}, which is not a file; let it name ONNX Runtime's shared \
                 library, or unset it",
                named.display()
            )));
        }
        return Ok((named, Found::Named));
    }
    let plain =
        format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let mut candidates = Vec::new();
    if let Some(folder) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        for folder in [folder.to_owned(), folder.join("lib")] {
            candidates.push(folder.join(library_file_name()));
            candidates.push(folder.join(&plain));
        }
    }
    candidates.extend(cached_library().ok().flatten());
    match candidates.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok((path, Found::Searched)),
        None => Ok((PathBuf::from(plain), Found::Unknown)),
    }
}

#[cfg(feature = "load-dynamic")]
fn explain(error: &ort::LoadDynamicError, path: &Path, found: Found) -> String {
    use ort::LoadDynamicError as Load;
    let remedy = format!(
        "obtain version {TESTED_VERSION} with `offshoot quickstart`, or let {LIBRARY_VARIABLE} name \
         the shared library of ONNX Runtime 1.{} or newer",
        ort::MINOR_VERSION
    );
    match error {
        Load::Dlopen { .. } if found == Found::Unknown => format!(
            "ONNX Runtime's shared library was not found: not beside the program, not in the \
             cache{}, not in the system's library folders; {remedy}",
            match cached_library() {
                Ok(Some(path)) => format!(" ({})", path.display()),
                Ok(None) => " (no build is published for this system)".to_owned(),
                Err(error) => format!(" ({error})"),
            }
        ),
        Load::Dlopen { error, path } => {
            format!("{} cannot be loaded: {error}; {remedy}", path.display())
        }
        Load::BadVersion { version_str, path } => format!(
            "{} is ONNX Runtime {version_str}, which is too old: 1.{} or newer is needed; {remedy}",
            path.display(),
            ort::MINOR_VERSION
        ),
        Load::MissingApi { path } => {
            format!("{} is not ONNX Runtime's shared library; {remedy}", path.display())
        }
        Load::InvalidVersionString => {
            format!("{} does not state its version; {remedy}", path.display())
        }
    }
}
