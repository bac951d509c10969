//! Vectors of the single tokens of texts, before they are pooled.

use std::sync::Arc;
use std::time::Instant;

use ndarray::{Array2, ArrayView2};

use super::lanes::{Lanes, Output};
use super::text::{Texts, pad};
use super::{EmbedOptions, Encoder, Loaded, batch, lock};
use crate::bundle::Modality;
use crate::error::{Error, Result};
use crate::memory;
use crate::session::{OpenOptions, Prepared, Unpooled};

/// Sessions of a graph that ends before the pooling.
#[derive(Debug)]
pub(super) struct UnpooledLanes {
    options: OpenOptions,
    prepared: Prepared,
    lanes: Lanes,
    output: Output,
}

impl Encoder {
    /// Width of a token's vector, which may differ from that of an embedding; `None` where the
    /// graph has no vectors of tokens: it reads no text, or not token by token.
    ///
    /// The first call opens a second session on the same pages, whose weights are laid out once
    /// on a machine.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn token_width(&self) -> Result<Option<usize>> {
        let loaded = self.inner.loaded()?;
        Ok(self.unpooled(&loaded)?.map(|unpooled| unpooled.output.width))
    }

    /// Vectors of the tokens of each text, special tokens included, `[tokens, width]`: what the
    /// encoder's pooling reads, not scaled to unit length. Row `i` of a text's vectors is token
    /// `i` of [`Self::tokenize`].
    ///
    /// ```no_run
    /// # use offshoot::{EmbedOptions, Encoder};
    /// let encoder = Encoder::open("minilm.offshoot")?;
    /// let options = EmbedOptions::default();
    /// let vectors = encoder.token_vectors(&["a text"], &options)?;
    /// assert_eq!(vectors[0].nrows(), encoder.tokenize("a text", &options)?.ids.len());
    /// # Ok::<(), offshoot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::embed_with`]; [`Error::Argument`] where the graph has no vectors of tokens, and
    /// for fewer dimensions.
    pub fn token_vectors(
        &self,
        texts: &[impl AsRef<str> + Sync],
        options: &EmbedOptions,
    ) -> Result<Vec<Array2<f32>>> {
        self.check(Modality::Text, options)?;
        let loaded = self.inner.loaded()?;
        let tokens = self.tokens_of(&loaded, texts, options)?;
        let rows: Vec<&[u32]> = tokens.iter().map(|tokens| &tokens.ids[..]).collect();
        self.vectors_of(&loaded, &rows, options)
    }

    /// As [`Self::token_vectors`], of texts that are already token ids, special tokens included.
    ///
    /// # Errors
    /// As [`Self::token_vectors`] and [`Self::embed_tokens`].
    pub fn token_vectors_of(
        &self,
        rows: &[Vec<u32>],
        options: &EmbedOptions,
    ) -> Result<Vec<Array2<f32>>> {
        self.check(Modality::Text, options)?;
        let loaded = self.inner.loaded()?;
        let tokens = self.checked_ids(&loaded, rows, options)?;
        let rows: Vec<&[u32]> = tokens.iter().map(|tokens| &tokens.ids[..]).collect();
        self.vectors_of(&loaded, &rows, options)
    }

    fn vectors_of(
        &self,
        loaded: &Loaded,
        rows: &[&[u32]],
        options: &EmbedOptions,
    ) -> Result<Vec<Array2<f32>>> {
        if options.dimensions.is_some() {
            return Err(Error::Argument(
                "vectors of tokens have all their dimensions; leave `dimensions` out".into(),
            ));
        }
        let Some(unpooled) = self.unpooled(loaded)? else {
            return Err(Error::Argument(format!(
                "the encoder {:?} has no vectors of tokens: nothing in its graph has one for each",
                self.manifest().name
            )));
        };
        let UnpooledLanes { output, .. } = &*unpooled;
        let texts = Texts { rows, pad: pad(self), batch_tokens: options.batch_tokens };
        let lengths: Vec<usize> = rows.iter().map(|ids| ids.len()).collect();
        let batches = batch::batches(&lengths, options.batch_tokens.max(1));
        let open = |threads| {
            let UnpooledLanes { options, prepared, .. } = &*unpooled;
            prepared.open(&self.inner.bundle, options, &self.inner.engine, threads)
        };
        let finished = unpooled.lanes.run(&batches, &texts, output, options.narrow, &open)?;
        let mut vectors = vec![Array2::zeros((0, output.width)); rows.len()];
        for (batch, values) in batches.iter().zip(&finished) {
            let padded = values.chunks_exact(batch.width * output.width);
            for (&row, values) in batch.rows.iter().zip(padded) {
                let real = lengths.get(row).copied().unwrap_or(0);
                let values = values.get(..real * output.width).unwrap_or_default();
                if let Ok(view) = ArrayView2::from_shape((real, output.width), values)
                    && let Some(slot) = vectors.get_mut(row)
                {
                    *slot = view.to_owned();
                }
            }
        }
        memory::trim();
        *lock(&self.inner.last_use) = Instant::now();
        Ok(vectors)
    }

    /// The sessions, opened now where they are not.
    fn unpooled(&self, loaded: &Loaded) -> Result<Option<Arc<UnpooledLanes>>> {
        let mut slot = lock(&loaded.unpooled);
        if let Some(known) = &*slot {
            return Ok(known.clone());
        }
        let inner = &self.inner;
        let found = match self.manifest().modality {
            Modality::Text => Unpooled::find(&inner.bundle, &inner.options, &inner.engine)?,
            _ => None,
        };
        let opened = found.map(|found| -> Result<_> {
            let Unpooled { options, output, width } = found;
            let threads = options.thread_count();
            let prepared = Prepared::new(&inner.bundle, &options, &inner.engine)?;
            let wide = prepared.open(&inner.bundle, &options, &inner.engine, threads)?;
            let output = Output { name: output, width, each_token: true };
            Ok(Arc::new(UnpooledLanes {
                options,
                prepared,
                lanes: Lanes::new(threads, wide),
                output,
            }))
        });
        let opened = opened.transpose()?;
        *slot = Some(opened.clone());
        Ok(opened)
    }
}
