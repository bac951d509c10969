//! Encoders: opened from a bundle, used from any number of threads.

mod batch;
mod image;
mod lanes;
mod options;
mod signal;
mod text;
mod tokens;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use batch::Inputs;
use lanes::{Lanes, Output};
use ndarray::{Array2, ArrayViewMut1, s};
pub use options::{BATCH_ROWS, BATCH_TOKENS, EmbedOptions, Prompt};

use crate::bundle::{Bundle, Manifest, Modality, TOKENIZER};
use crate::error::{Error, Result};
use crate::library::Engine;
use crate::memory;
use crate::session::{CacheState, OpenOptions, Prepared};
use crate::tokenizer::Tokenizer;
use tokens::UnpooledLanes;

/// An encoder of texts, images or signals, open and ready.
///
/// Cheap to clone: every clone is the same encoder. It may be used from several
/// threads at once; its weights are pages of a file that all processes share.
///
/// ```no_run
/// let encoder = offshoot::Encoder::open("minilm.offshoot")?;
/// let embeddings = encoder.embed(&["a first text", "a second one"])?;
/// assert_eq!(embeddings.vectors().dim(), (2, encoder.dimensions()));
/// # Ok::<(), offshoot::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Encoder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bundle: Bundle,
    digest: String,
    options: OpenOptions,
    engine: Engine,
    cache_state: CacheState,
    /// What `unload` gives back.
    loaded: Mutex<Option<Arc<Loaded>>>,
    last_use: Mutex<Instant>,
}

#[derive(Debug)]
struct Loaded {
    /// `None` for an encoder of images or signals.
    tokenizer: Option<Tokenizer>,
    prepared: Prepared,
    lanes: Lanes,
    /// What gives vectors of tokens, once that was asked for; `None` within where nothing does.
    unpooled: Mutex<Option<Option<Arc<UnpooledLanes>>>>,
}

impl Loaded {
    fn new(tokenizer: Option<Tokenizer>, prepared: Prepared, lanes: Lanes) -> Self {
        Self { tokenizer, prepared, lanes, unpooled: Mutex::default() }
    }
}

impl Encoder {
    /// Opens a bundle with the default options.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::new().open(path)
    }

    /// What the encoder is.
    pub fn manifest(&self) -> &Manifest {
        self.inner.bundle.manifest()
    }

    /// What identifies the encoder: its bundle's digest, or one of that and of its adapter.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.inner.bundle
    }

    /// Width of an embedding.
    pub fn dimensions(&self) -> usize {
        self.manifest().embedding_size
    }

    /// What became of the weight cache when the encoder was opened.
    pub fn cache_state(&self) -> &CacheState {
        &self.inner.cache_state
    }

    /// Gives the encoder's memory back: mapped pages, sessions and the tokenizer.
    /// The next call opens them again.
    pub fn unload(&self) {
        self.inner.unload();
    }

    /// Whether sessions and tokenizer are in memory.
    pub fn is_loaded(&self) -> bool {
        lock(&self.inner.loaded).is_some()
    }

    /// Ends the use of this handle. When it is the last, everything is given back.
    pub fn close(self) {
        drop(self);
        memory::trim();
    }

    /// Most threads that compute at once.
    pub fn threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.inner.options.thread_count()).unwrap_or(NonZeroUsize::MIN)
    }

    /// Checks that this encoder reads `wanted` and that `options` fit it.
    fn check(&self, wanted: Modality, options: &EmbedOptions) -> Result<()> {
        if self.manifest().modality != wanted {
            return Err(self.reads_other(wanted));
        }
        match options.dimensions {
            Some(wanted) if wanted.get() > self.dimensions() => Err(Error::Argument(format!(
                "{wanted} dimensions were asked for and the encoder has {}",
                self.dimensions()
            ))),
            _ => Ok(()),
        }
    }

    /// The error of a call for inputs that this encoder does not read.
    fn reads_other(&self, wanted: Modality) -> Error {
        let Manifest { name, modality, .. } = self.manifest();
        let call = match modality {
            Modality::Text => "embed",
            Modality::Image => "embed_images",
            Modality::Signal => "embed_signals",
        };
        Error::Argument(format!(
            "the encoder {name:?} reads {}, not {}; `Encoder::{call}` is what embeds them",
            modality.plural(),
            wanted.plural()
        ))
    }

    /// Embeds inputs, `[rows, dimensions]`.
    fn embed_inputs(
        &self,
        loaded: &Loaded,
        inputs: &dyn Inputs,
        options: &EmbedOptions,
    ) -> Result<Array2<f32>> {
        let width = self.dimensions();
        let kept = options.dimensions.map_or(width, NonZeroUsize::get);
        let lengths = inputs.lengths();
        let mut vectors = Array2::zeros((lengths.len(), kept));
        let renormalize = kept < width && self.manifest().normalized;
        let batches = batch::batches(&lengths, inputs.budget().max(1));
        let output = Output { name: "embedding".into(), width, each_token: false };
        let finished = loaded.lanes.run(&batches, inputs, &output, options.narrow, &|threads| {
            self.inner.open_session(&loaded.prepared, threads)
        })?;
        let mut peak = 0;
        for (batch, rows) in batches.iter().zip(&finished) {
            peak = peak.max(batch.size());
            for (&row, vector) in batch.rows.iter().zip(rows.chunks_exact(width)) {
                let mut out: ArrayViewMut1<f32> = vectors.slice_mut(s![row, ..]);
                for (out, &value) in out.iter_mut().zip(vector) {
                    *out = value;
                }
                if renormalize {
                    unit_norm(out);
                }
            }
        }
        // Small inputs are not slowed down by it.
        if peak >= inputs.large() {
            memory::trim();
        }
        *lock(&self.inner.last_use) = Instant::now();
        Ok(vectors)
    }
}

impl OpenOptions {
    /// What [`Encoder::digest`] of a bundle opened with these options is.
    ///
    /// # Errors
    /// [`Error::Adapter`] when the adapter belongs to another bundle.
    pub fn digest_of(&self, bundle: &Bundle) -> Result<String> {
        match &self.adapter {
            Some(adapter) => {
                adapter.check(bundle.digest())?;
                Ok(adapter.combined(bundle.digest()))
            }
            None => Ok(bundle.digest().to_owned()),
        }
    }

    /// Opens a bundle: maps its weights, reads its tokenizer and creates one
    /// session. The first time on a machine, weights are laid out for it and kept
    /// in the cache ([`WeightCache`](crate::WeightCache)).
    ///
    /// # Errors
    /// Those of [`Bundle::open`]; [`Error::Digest`] for a damaged entry;
    /// [`Error::Tokenizer`]; [`Error::Library`] when ONNX Runtime cannot be loaded;
    /// [`Error::Engine`] when it refuses the graph or an option.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Encoder> {
        let bundle = Bundle::open(path)?;
        let digest = self.digest_of(&bundle)?;
        // Both take time and neither needs the other.
        let (tokenizer, engine) = std::thread::scope(|scope| {
            let tokenizer = scope.spawn(|| read_tokenizer(&bundle));
            let engine = match &self.engine {
                Some(engine) => Ok(engine.clone()),
                None => Engine::load(),
            };
            let opened = engine.and_then(|engine| {
                let prepared = Prepared::new(&bundle, self, &engine)?;
                let wide = prepared.open(&bundle, self, &engine, self.thread_count())?;
                Ok((engine, prepared, wide))
            });
            (join(tokenizer), opened)
        });
        let (engine, prepared, wide) = engine?;
        let tokenizer = tokenizer?;
        // What was parsed and let go of is a tenth of the private memory.
        memory::trim();
        let inner = Arc::new(Inner {
            cache_state: prepared.state.clone(),
            loaded: Mutex::new(Some(Arc::new(Loaded::new(
                tokenizer,
                prepared,
                Lanes::new(self.thread_count(), wide),
            )))),
            bundle,
            digest,
            options: self.clone(),
            engine,
            last_use: Mutex::new(Instant::now()),
        });
        if let Some(after) = self.idle_unload {
            unload_when_idle(Arc::downgrade(&inner), after)?;
        }
        Ok(Encoder { inner })
    }
}

impl Inner {
    /// Tokenizer and sessions, opened again if they were given back.
    fn loaded(&self) -> Result<Arc<Loaded>> {
        *lock(&self.last_use) = Instant::now();
        let mut slot = lock(&self.loaded);
        if let Some(loaded) = &*slot {
            return Ok(loaded.clone());
        }
        let prepared = Prepared::new(&self.bundle, &self.options, &self.engine)?;
        let wide = self.open_session(&prepared, self.options.thread_count())?;
        let lanes = Lanes::new(self.options.thread_count(), wide);
        let loaded = Arc::new(Loaded::new(read_tokenizer(&self.bundle)?, prepared, lanes));
        *slot = Some(loaded.clone());
        Ok(loaded)
    }

    fn open_session(&self, prepared: &Prepared, threads: usize) -> Result<ort::session::Session> {
        prepared.open(&self.bundle, &self.options, &self.engine, threads)
    }

    fn unload(&self) {
        let loaded = lock(&self.loaded).take();
        if loaded.is_some() {
            drop(loaded);
            memory::trim();
        }
    }
}

/// Starts the thread that gives an encoder's memory back when it is idle. It ends
/// with the encoder.
fn unload_when_idle(encoder: Weak<Inner>, after: Duration) -> Result<()> {
    let pause = (after / 4).clamp(Duration::from_millis(10), Duration::from_secs(60));
    std::thread::Builder::new()
        .name("offshoot-idle".into())
        .spawn(move || {
            loop {
                std::thread::sleep(pause);
                let Some(encoder) = encoder.upgrade() else { break };
                if lock(&encoder.last_use).elapsed() >= after {
                    encoder.unload();
                }
            }
        })
        .map(drop)
        .map_err(|e| Error::Argument(format!("a thread for idle unloading cannot be started: {e}")))
}

/// The tokenizer of an encoder of text.
fn read_tokenizer(bundle: &Bundle) -> Result<Option<Tokenizer>> {
    let Some(text) = &bundle.manifest().text else { return Ok(None) };
    Tokenizer::from_bytes(&bundle.read(TOKENIZER)?, text, bundle.path()).map(Some)
}

/// Divides a vector by its Euclidean norm, which is taken as at least 1e-12.
fn unit_norm(mut vector: ArrayViewMut1<f32>) {
    let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    vector.mapv_inplace(|v| v / norm);
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| {
        Err(Error::Argument("the tokenizer failed on this input; please report it".into()))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
