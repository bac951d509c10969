//! Weights laid out for this machine, made at the first open and kept.
//!
//! ONNX Runtime lays the weights of matrix products out anew for the processor at
//! hand ("prepacking"), in private memory of every process. Saved beside the
//! optimised graph, they are mapped like the rest. What is saved is right for one
//! bundle, one build of ONNX Runtime and one kind of processor, so it is a cache
//! under a key of these three and never a part of a bundle.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use sha2::{Digest, Sha256};

use super::external::{Span, commit_mapped, utf8_name};
use super::{OpenOptions, WeightCache, builder, open_optimized};
use crate::bundle::{Bundle, MODEL, WEIGHTS, hex};
use crate::cache::cache_dir;
use crate::error::{Error, Result, engine};
use crate::library::Engine;

/// Changes when what is written to the cache changes.
const LAYOUT: u32 = 2;

/// Tensors smaller than this stay in the prepared graph, in bytes.
const INLINE_BELOW: usize = 1 << 10;

/// What became of the weight cache when an encoder was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheState {
    /// The weights are mapped from a cache that existed.
    Found,
    /// The cache was made just now; the next open is faster.
    Made,
    /// It is switched off.
    Off,
    /// It could not be used, for this reason: the weights are mapped from the
    /// bundle, and what ONNX Runtime lays out anew is private memory.
    Unusable(String),
}

/// A model that is ready to be opened as often as wanted.
#[derive(Debug)]
pub(crate) struct Prepared {
    source: Source,
    /// What became of the cache.
    pub(crate) state: CacheState,
}

#[derive(Debug)]
enum Source {
    /// The prepared graph in the cache.
    Cache(PathBuf),
    /// The bundle itself.
    Bundle,
}

impl Prepared {
    /// Finds or makes the prepared form of a bundle's model.
    ///
    /// Without a usable cache the bundle itself is used, after a check of every
    /// digest; with one, the digests were checked when it was made.
    pub(crate) fn new(bundle: &Bundle, options: &OpenOptions, engine: &Engine) -> Result<Self> {
        let folder = match &options.cache {
            WeightCache::Off => return Self::direct(bundle, CacheState::Off),
            WeightCache::Folder(folder) => Ok(folder.clone()),
            WeightCache::UserFolder => cache_dir(),
        };
        let made = folder.and_then(|folder| cached(&folder, bundle, options, engine));
        match made {
            Ok((model, state)) => Ok(Self { source: Source::Cache(model), state }),
            // A damaged or replaced bundle is refused, whatever the cache.
            Err(error @ (Error::Digest { .. } | Error::Bundle { .. } | Error::Changed { .. })) => {
                Err(error)
            }
            Err(error) => Self::direct(bundle, CacheState::Unusable(error.to_string())),
        }
    }

    fn direct(bundle: &Bundle, state: CacheState) -> Result<Self> {
        bundle.verify(&mut |_| {})?;
        Ok(Self { source: Source::Bundle, state })
    }

    /// Opens one session of `threads` threads.
    pub(crate) fn open(
        &self,
        bundle: &Bundle,
        options: &OpenOptions,
        engine_: &Engine,
        threads: usize,
    ) -> Result<Session> {
        match &self.source {
            Source::Cache(model) => open_optimized(options, engine_, threads, model),
            Source::Bundle => {
                let session = commit_bundle(
                    bundle,
                    options,
                    builder(options, engine_, threads)?
                        .with_optimization_level(GraphOptimizationLevel::All)
                        .map_err(engine("set session options"))?,
                )?;
                Ok(session)
            }
        }
    }
}

/// Opens a session on the bundle's own graph and weights.
pub(super) fn commit_bundle(
    bundle: &Bundle,
    options: &OpenOptions,
    builder: ort::session::builder::SessionBuilder,
) -> Result<Session> {
    let read;
    let model = match &options.adapter {
        Some(adapter) => adapter.model(),
        None => {
            read = bundle.read(MODEL)?;
            &read
        }
    };
    let mut spans = BTreeMap::new();
    for (name, _, _) in bundle.entries() {
        if name == MODEL {
            continue;
        }
        let place = bundle.place(name)?;
        let file = if bundle.path().is_dir() { name.to_owned() } else { utf8_name(&place.file)? };
        let span = Span { file, offset: place.offset, size: place.size };
        spans.insert(name.to_owned(), span);
    }
    let base = if bundle.path().is_dir() { Some(bundle.path()) } else { bundle.path().parent() };
    let act = "open the bundle's graph";
    let session = commit_mapped(builder, model, base, &spans, act, &|reason| Error::Bundle {
        path: bundle.path().to_owned(),
        reason: format!("`{MODEL}`: {reason}"),
    })?;
    // ONNX Runtime opened the file by its name, this crate holds it open.
    if !bundle.is_current() {
        return Err(Error::Changed { path: bundle.path().to_owned() });
    }
    Ok(session)
}

/// The prepared graph in the cache folder, made now if it is not there.
fn cached(
    cache: &Path,
    bundle: &Bundle,
    options: &OpenOptions,
    engine: &Engine,
) -> Result<(PathBuf, CacheState)> {
    let key = key(bundle, options, engine);
    let folder = cache.join("prepared").join(&key);
    let model = folder.join(MODEL);
    if is_complete(&folder) {
        return Ok((model, CacheState::Found));
    }
    let parent = cache.join("prepared");
    fs::create_dir_all(&parent).map_err(|e| Error::io("create", &parent, e))?;
    // One process makes it; others that come meanwhile wait and find it. Where the
    // file system has no locks, each makes its own and the first rename wins.
    let lock_path = parent.join(format!("{key}.lock"));
    let lock = File::create(&lock_path).map_err(|e| Error::io("create", &lock_path, e))?;
    let locked = lock.lock().is_ok();
    if is_complete(&folder) {
        return Ok((model, CacheState::Found));
    }
    if locked {
        // Left by a process that ended while it made them: nobody else is at work.
        remove_leftovers(&parent, &key);
        let _ = fs::remove_dir_all(&folder);
    }
    bundle.verify(&mut |_| {})?;
    let work = tempfile::Builder::new()
        .prefix(&format!("{key}."))
        .tempdir_in(&parent)
        .map_err(|e| Error::io("create a folder in", &parent, e))?;
    make(work.path(), bundle, options, engine)?;
    match fs::rename(work.path(), &folder) {
        Ok(()) => {
            // The folder has a new name; there is nothing left to remove.
            let _ = work.keep();
            sync_folder(&parent);
        }
        Err(_) if is_complete(&folder) => {}
        Err(e) => return Err(Error::io("rename", work.path(), e)),
    }
    let _ = fs::remove_file(&lock_path);
    Ok((model, CacheState::Made))
}

/// Writes the optimised graph and its weights to `work`.
fn make(work: &Path, bundle: &Bundle, options: &OpenOptions, engine_: &Engine) -> Result<()> {
    let act = "prepare the weights";
    let model = work.join(MODEL);
    let builder = builder(options, engine_, 1)?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(engine(act))?
        .with_optimized_model_path(&model)
        .map_err(engine(act))?
        .with_config_entry("session.optimized_model_external_initializers_file_name", WEIGHTS)
        .map_err(engine(act))?
        .with_config_entry(
            "session.optimized_model_external_initializers_min_size_in_bytes",
            INLINE_BELOW.to_string(),
        )
        .map_err(engine(act))?
        .with_config_entry("session.save_external_prepacked_constant_initializers", "1")
        .map_err(engine(act))?;
    drop(commit_bundle(bundle, options, builder)?);
    let mut sizes = String::new();
    for name in [MODEL, WEIGHTS] {
        let path = work.join(name);
        // A graph without large weights has no file of them.
        if name == WEIGHTS && !path.exists() {
            File::create(&path).map_err(|e| Error::io("create", &path, e))?;
        }
        let file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        file.sync_all().map_err(|e| Error::io("write", &path, e))?;
        let length = file.metadata().map_err(|e| Error::io("open", &path, e))?.len();
        sizes.push_str(&format!("{name} {length}\n"));
    }
    let complete = work.join(COMPLETE);
    fs::write(&complete, sizes)
        .and_then(|()| File::open(&complete)?.sync_all())
        .map_err(|e| Error::io("write", &complete, e))?;
    sync_folder(work);
    Ok(())
}

/// The file that is written last: the size of every other file.
const COMPLETE: &str = "complete";

/// Whether the folder holds what [`make`] wrote, whole.
fn is_complete(folder: &Path) -> bool {
    let Ok(sizes) = fs::read_to_string(folder.join(COMPLETE)) else { return false };
    let mut files = 0;
    for line in sizes.lines() {
        let Some((name, size)) = line.split_once(' ') else { return false };
        let length = fs::metadata(folder.join(name)).map(|m| m.len()).ok();
        if length.is_none() || length != size.parse().ok() {
            return false;
        }
        files += 1;
    }
    files == 2
}

fn remove_leftovers(parent: &Path, key: &str) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let leftover = name
            .to_str()
            .and_then(|name| name.strip_prefix(key))
            .is_some_and(|rest| rest.starts_with('.') && rest != ".lock");
        if leftover {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes a rename in `folder` last through a power cut, where the system can.
fn sync_folder(folder: &Path) {
    if cfg!(unix)
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// The cache key: bundle, ONNX Runtime, processor, and options that change what is
/// saved.
fn key(bundle: &Bundle, options: &OpenOptions, engine: &Engine) -> String {
    let mut hash = Sha256::new();
    let mut field = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    field(&LAYOUT.to_string());
    field(bundle.digest());
    field(options.adapter.as_ref().map_or("", |adapter| adapter.digest()));
    field(engine.build_info());
    field(&processor());
    for (key, value) in &options.config {
        field(key);
        field(value);
    }
    hex(&hash.finalize())[..32].to_owned()
}

/// The instruction sets by which ONNX Runtime chooses its kernels.
fn processor() -> String {
    let mut features = vec![std::env::consts::ARCH, std::env::consts::OS];
    macro_rules! detect {
        ($detect:ident: $($name:tt)*) => {
            $( if std::arch::$detect!($name) { features.push($name); } )*
        };
    }
    #[cfg(target_arch = "x86_64")]
    detect!(is_x86_feature_detected:
        "sse4.1" "avx" "f16c" "avx2" "fma" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni"
        "avx512bf16" "avx512fp16" "avxvnni" "avxvnniint8");
    #[cfg(target_arch = "aarch64")]
    detect!(is_aarch64_feature_detected:
        "neon" "fp16" "dotprod" "i8mm" "bf16" "sve" "sve2" "sme" "sme2");
    features.join(" ")
}
