//! Encoders: opened from a bundle, used from any number of threads.

mod batch;
mod lanes;
mod options;

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use lanes::Lanes;
use ndarray::{Array2, ArrayViewMut1, s};
pub use options::{BATCH_TOKENS, EmbedOptions, Prompt};

use crate::bundle::{Bundle, Manifest, TOKENIZER};
use crate::embeddings::Embeddings;
use crate::error::{Error, Result};
use crate::library::Engine;
use crate::memory;
use crate::session::{CacheState, OpenOptions, Prepared};
use crate::tokenizer::{Tokenizer, Tokens, Truncation};

/// An encoder of text, open and ready.
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
    tokenizer: Tokenizer,
    prepared: Prepared,
    lanes: Lanes,
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

    /// Most tokens of a text, special tokens included.
    pub fn max_tokens(&self) -> usize {
        self.manifest().text.as_ref().map_or(0, |text| text.max_tokens)
    }

    /// What became of the weight cache when the encoder was opened.
    pub fn cache_state(&self) -> &CacheState {
        &self.inner.cache_state
    }

    /// Embeds texts with the default options: row `i` is text `i`.
    ///
    /// # Errors
    /// As [`Self::embed_with`].
    pub fn embed(&self, texts: &[impl AsRef<str> + Sync]) -> Result<Embeddings> {
        self.embed_with(texts, &EmbedOptions::default())
    }

    /// Embeds texts: row `i` is text `i`, whatever batches were formed.
    ///
    /// # Errors
    /// [`Error::TooLong`] when a text is too long and the options refuse it;
    /// [`Error::Argument`] for an unknown prompt or more dimensions than there are;
    /// [`Error::Engine`] when ONNX Runtime fails.
    pub fn embed_with(
        &self,
        texts: &[impl AsRef<str> + Sync],
        options: &EmbedOptions,
    ) -> Result<Embeddings> {
        let prompt = self.prompt(&options.prompt)?;
        self.check_dimensions(options)?;
        let loaded = self.inner.loaded()?;
        let tokens = tokenize(&loaded.tokenizer, texts, prompt, options, self.threads())?;
        self.embed_rows(&loaded, &tokens, options)
    }

    /// Embeds texts that are already token ids, special tokens included.
    ///
    /// # Errors
    /// As [`Self::embed_with`]; [`Error::Argument`] for an empty row or an id that
    /// the tokenizer does not have.
    pub fn embed_tokens(&self, rows: &[Vec<u32>], options: &EmbedOptions) -> Result<Embeddings> {
        self.check_dimensions(options)?;
        let loaded = self.inner.loaded()?;
        let vocabulary = loaded.tokenizer.vocabulary_size();
        let max_tokens = self.max_tokens();
        let mut tokens = Vec::with_capacity(rows.len());
        for (row, ids) in rows.iter().enumerate() {
            if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
                return Err(Error::Argument(format!(
                    "row {row} has the token id {id}; ids are below {vocabulary}"
                )));
            }
            if ids.is_empty() {
                return Err(Error::Argument(format!("row {row} has no tokens")));
            }
            let cut = ids.len().saturating_sub(max_tokens);
            if cut > 0 && options.truncation == Truncation::Refuse {
                return Err(Error::TooLong { row, tokens: ids.len(), max_tokens });
            }
            tokens.push(Tokens { ids: ids[..ids.len() - cut].to_vec(), cut });
        }
        self.embed_rows(&loaded, &tokens, options)
    }

    /// The tokens of a text as the encoder reads it.
    ///
    /// # Errors
    /// As [`Self::embed_with`].
    pub fn tokenize(&self, text: &str, options: &EmbedOptions) -> Result<Tokens> {
        let prompt = self.prompt(&options.prompt)?;
        let loaded = self.inner.loaded()?;
        loaded.tokenizer.encode(&with_prompt(prompt, text), options.truncation, 0)
    }

    /// The text of token ids, special tokens left out.
    ///
    /// # Errors
    /// [`Error::Argument`] when an id is not one of the tokenizer's.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.loaded()?.tokenizer.decode(ids)
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

    fn threads(&self) -> usize {
        self.inner.options.thread_count()
    }

    pub(crate) fn prompt<'a>(&'a self, prompt: &'a Prompt) -> Result<Option<&'a str>> {
        let Some(text) = &self.manifest().text else { return Ok(None) };
        let named = |name: &String| {
            text.prompts.get(name).map(|prompt| Some(prompt.as_str())).ok_or_else(|| {
                let known: Vec<_> = text.prompts.keys().map(String::as_str).collect();
                Error::Argument(match known.is_empty() {
                    true => format!("there is no prompt `{name}`: this encoder has none"),
                    false => format!("there is no prompt `{name}`, only {}", known.join(", ")),
                })
            })
        };
        match prompt {
            Prompt::None => Ok(None),
            Prompt::Text(text) => Ok(Some(text)),
            Prompt::Named(name) => named(name),
            Prompt::Default => text.default_prompt.as_ref().map_or(Ok(None), named),
        }
    }

    fn check_dimensions(&self, options: &EmbedOptions) -> Result<()> {
        match options.dimensions {
            Some(wanted) if wanted.get() > self.dimensions() => Err(Error::Argument(format!(
                "{wanted} dimensions were asked for and the encoder has {}",
                self.dimensions()
            ))),
            _ => Ok(()),
        }
    }

    fn embed_rows(
        &self,
        loaded: &Loaded,
        tokens: &[Tokens],
        options: &EmbedOptions,
    ) -> Result<Embeddings> {
        let width = self.dimensions();
        let kept = options.dimensions.map_or(width, std::num::NonZeroUsize::get);
        let mut vectors = Array2::zeros((tokens.len(), kept));
        let renormalize = kept < width && self.manifest().normalized;
        let lengths: Vec<usize> = tokens.iter().map(|t| t.ids.len()).collect();
        let batches = batch::batches(&lengths, options.batch_tokens.max(1));
        let pad = self.manifest().text.as_ref().map_or(0, |text| text.pad_id);
        let finished = loaded.lanes.run(&batches, tokens, pad, width, &|threads| {
            self.inner.open_session(&loaded.prepared, threads)
        })?;
        let mut peak = 0;
        for (batch, rows) in batches.iter().zip(&finished) {
            peak = peak.max(batch.rows.len() * batch.width);
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
        memory::trim_after(peak);
        *lock(&self.inner.last_use) = Instant::now();
        let cut = tokens.iter().map(|t| t.cut).collect();
        let count = lengths.iter().sum();
        Ok(Embeddings::new(vectors, count, cut))
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
            loaded: Mutex::new(Some(Arc::new(Loaded {
                tokenizer,
                prepared,
                lanes: Lanes::new(self.thread_count(), wide),
            }))),
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
        let loaded = Arc::new(Loaded {
            tokenizer: read_tokenizer(&self.bundle)?,
            prepared,
            lanes: Lanes::new(self.options.thread_count(), wide),
        });
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

fn read_tokenizer(bundle: &Bundle) -> Result<Tokenizer> {
    let text = bundle.manifest().text.as_ref().ok_or_else(|| Error::Bundle {
        path: bundle.path().to_owned(),
        reason: "its manifest has no `text`".into(),
    })?;
    Tokenizer::from_bytes(&bundle.read(TOKENIZER)?, text, bundle.path())
}

/// Turns texts into tokens, on several threads when there are many.
fn tokenize(
    tokenizer: &Tokenizer,
    texts: &[impl AsRef<str> + Sync],
    prompt: Option<&str>,
    options: &EmbedOptions,
    threads: usize,
) -> Result<Vec<Tokens>> {
    /// Texts from which on another thread pays.
    const PART: usize = 64;
    let encode = |first: usize, texts: &[_]| -> Result<Vec<Tokens>> {
        let encode_one = |(i, text): (usize, &_)| {
            let text: &str = AsRef::as_ref(text);
            tokenizer.encode(&with_prompt(prompt, text), options.truncation, first + i)
        };
        texts.iter().enumerate().map(encode_one).collect()
    };
    let part = texts.len().div_ceil(threads.max(1)).max(PART);
    if texts.len() <= part {
        return encode(0, texts);
    }
    std::thread::scope(|scope| {
        let encode = &encode;
        let parts: Vec<_> = texts
            .chunks(part)
            .enumerate()
            .map(|(i, texts)| scope.spawn(move || encode(i * part, texts)))
            .collect();
        let mut all = Vec::with_capacity(texts.len());
        for part in parts {
            all.extend(join(part)?);
        }
        Ok(all)
    })
}

fn with_prompt<'a>(prompt: Option<&str>, text: &'a str) -> Cow<'a, str> {
    match prompt {
        Some(prompt) if !prompt.is_empty() => Cow::Owned(format!("{prompt}{text}")),
        _ => Cow::Borrowed(text),
    }
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
