//! One encoder and its queue.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use offshoot::bundle::{Manifest, Modality};
use offshoot::{EmbedOptions, Encoder, OpenOptions, Prompt, Truncation};

use crate::batching::{Batcher, Row};
use crate::error::{Error, Result};
use crate::fault::{Answer, Fault, Kind};
use crate::metrics::Metrics;

/// Texts of fewer bytes are turned into tokens at once, in less time than it takes to hand
/// them to another thread and back a few times.
const AT_ONCE: usize = 2048;

/// How vectors are made smaller: leading dimensions, and unit length again where the encoder
/// gives it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) dimensions: usize,
    pub(crate) normalize: bool,
}

/// An encoder, opened when it is first needed.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) digest: String,
    options: OpenOptions,
    queue_tokens: usize,
    metrics: Arc<Metrics>,
    opening: Mutex<()>,
    opened: OnceLock<Opened>,
}

#[derive(Debug)]
struct Opened {
    encoder: Encoder,
    batcher: Batcher,
    /// Special tokens before and after a text.
    around: (Vec<u32>, Vec<u32>),
}

impl Model {
    pub(super) fn new(
        name: String,
        path: PathBuf,
        manifest: Manifest,
        digest: String,
        options: OpenOptions,
        queue_tokens: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (opening, opened) = (Mutex::default(), OnceLock::new());
        Self { name, path, manifest, digest, options, queue_tokens, metrics, opening, opened }
    }

    /// Opens the encoder, if it is not open. Blocks.
    pub(crate) fn open_now(&self) -> Result<()> {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.opened.get().is_some() {
            return Ok(());
        }
        let encoder = self.options.open(&self.path)?;
        if encoder.digest() != self.digest {
            return Err(Error::Argument(format!(
                "the bundle {:?} was replaced and not reloaded; send SIGHUP",
                self.name
            )));
        }
        let around = match self.manifest.modality {
            Modality::Text => {
                let options = EmbedOptions { prompt: Prompt::None, ..EmbedOptions::default() };
                around(&encoder.tokenize("", &options)?.ids, &encoder.tokenize("a", &options)?.ids)
            }
            _ => Default::default(),
        };
        let batcher = Batcher::start(&encoder, self.queue_tokens, &self.metrics)
            .map_err(Error::io("start", "a thread"))?;
        let _ = self.opened.set(Opened { encoder, batcher, around });
        Ok(())
    }

    pub(crate) fn waiting(&self) -> usize {
        self.opened.get().map_or(0, |opened| opened.batcher.waiting())
    }

    async fn opened(self: &Arc<Self>) -> Answer<&Opened> {
        // After idle unloading the first call opens it again, which must not block either.
        let ready = |opened: &&Opened| opened.encoder.is_loaded();
        if let Some(opened) = self.opened.get().filter(ready) {
            return Ok(opened);
        }
        let model = self.clone();
        tokio::task::spawn_blocking(move || {
            model.open_now()?;
            if let Some(opened) = model.opened.get()
                && model.manifest.modality == Modality::Text
            {
                opened.encoder.vocabulary_size()?;
            }
            Ok::<_, Error>(())
        })
        .await
        .map_err(Fault::internal)?
        .map_err(Fault::internal)?;
        self.opened.get().ok_or_else(|| Fault::internal("an encoder was not opened"))
    }

    /// The encoder, open.
    pub(crate) async fn encoder(self: &Arc<Self>) -> Answer<Encoder> {
        Ok(self.opened().await?.encoder.clone())
    }

    /// Work with the open encoder on a thread that may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Encoder) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let encoder = self.encoder().await?;
        tokio::task::spawn_blocking(move || work(&encoder)).await.map_err(Fault::internal)?
    }

    /// The tokens of texts.
    pub(crate) async fn tokenize(
        self: &Arc<Self>,
        texts: Vec<String>,
        prompt: Prompt,
        truncation: Truncation,
    ) -> Answer<Vec<Vec<u32>>> {
        let options = EmbedOptions { prompt, truncation, ..EmbedOptions::default() };
        let bytes: usize = texts.iter().map(String::len).sum();
        let work = move |encoder: &Encoder| -> Answer<Vec<Vec<u32>>> {
            texts
                .iter()
                .enumerate()
                .map(|(row, text)| match encoder.tokenize(text, &options) {
                    Ok(tokens) => Ok(tokens.ids),
                    Err(offshoot::Error::TooLong { tokens, max_tokens, .. }) => {
                        Err(offshoot::Error::TooLong { row, tokens, max_tokens }.into())
                    }
                    Err(error) => Err(error.into()),
                })
                .collect()
        };
        if bytes < AT_ONCE {
            return work(&self.opened().await?.encoder);
        }
        self.blocking(work).await
    }

    /// Rows of ids as the encoder reads them: special tokens are put around those that lack
    /// them.
    pub(crate) async fn check_ids(
        self: &Arc<Self>,
        rows: Vec<Vec<u32>>,
        truncation: Truncation,
    ) -> Answer<Vec<Vec<u32>>> {
        let opened = self.opened().await?;
        let vocabulary = opened.encoder.vocabulary_size()?;
        let most = opened.encoder.max_tokens();
        let (before, after) = &opened.around;
        let mut all = Vec::with_capacity(rows.len());
        for (row, mut ids) in rows.into_iter().enumerate() {
            if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
                return Err(Fault::invalid(format!(
                    "input {row} has the token id {id}, and ids of this encoder are below \
                     {vocabulary}; send texts, or ids of its own tokenizer"
                )));
            }
            if ids.starts_with(before) && ids.ends_with(after) && ids.len() > after.len() {
                ids.truncate(ids.len() - after.len());
                ids.drain(..before.len());
            }
            let room = most.saturating_sub(before.len() + after.len());
            if ids.len() > room && truncation == Truncation::Refuse {
                let tokens = ids.len() + before.len() + after.len();
                return Err(offshoot::Error::TooLong { row, tokens, max_tokens: most }.into());
            }
            ids.truncate(room);
            all.push(before.iter().chain(&ids).chain(after).copied().collect());
        }
        Ok(all)
    }

    /// Embeddings of rows, through the queue.
    pub(crate) async fn embed(
        self: &Arc<Self>,
        rows: Vec<Row>,
        deadline: Instant,
        cut: Cut,
    ) -> Answer<Vec<Vec<f32>>> {
        let pending = self.opened().await?.batcher.submit(rows, deadline)?;
        let mut vectors = pending.vectors().await?;
        let whole = cut.dimensions >= self.manifest.embedding_size;
        let normalize = if whole {
            cut.normalize && !self.manifest.normalized
        } else {
            cut.normalize || self.manifest.normalized
        };
        for vector in &mut vectors {
            vector.truncate(cut.dimensions);
            if normalize {
                let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
                vector.iter_mut().for_each(|v| *v /= norm);
            }
        }
        Ok(vectors)
    }

    /// Width of a token's vector, or why there is none.
    pub(crate) async fn token_width(self: &Arc<Self>) -> Answer<usize> {
        let width = self.blocking(|encoder| Ok(encoder.token_width()?)).await?;
        width.ok_or_else(|| {
            Fault::new(
                Kind::Unable,
                format!("the model {:?} has no vectors of single tokens; use /embed", self.name),
            )
        })
    }

    /// Vectors of every token of rows of token ids, through the queue.
    pub(crate) async fn token_vectors(
        self: &Arc<Self>,
        rows: Vec<Vec<u32>>,
        width: usize,
        deadline: Instant,
    ) -> Answer<Vec<Vec<Vec<f32>>>> {
        let rows = rows.into_iter().map(Row::EachToken).collect();
        let pending = self.opened().await?.batcher.submit(rows, deadline)?;
        let of_tokens =
            |values: Vec<f32>| values.chunks(width.max(1)).map(<[f32]>::to_vec).collect();
        Ok(pending.vectors().await?.into_iter().map(of_tokens).collect())
    }

    /// How many dimensions a client gets that asked for so many.
    pub(crate) fn dimensions(&self, asked: Option<usize>) -> Answer<usize> {
        let width = self.manifest.embedding_size;
        match asked {
            None => Ok(width),
            Some(n) if (1..=width).contains(&n) => Ok(n),
            Some(n) => Err(Fault::invalid(format!(
                "`dimensions` is {n}, and this encoder has 1 to {width}"
            ))),
        }
    }
}

/// What special tokens are put before and after a text, from the ids of an empty and another
/// one.
fn around(empty: &[u32], text: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let before = empty.iter().zip(text).take_while(|(a, b)| a == b).count();
    let (before, after) = empty.split_at(before);
    (before.to_vec(), after.to_vec())
}
