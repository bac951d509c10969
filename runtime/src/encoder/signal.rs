//! Signals: checked, and batches of them.

use ndarray::ArrayView3;
use ort::value::{DynValue, Tensor};

use super::batch::{Batch, Inputs, fixed_budget};
use super::{EmbedOptions, Encoder};
use crate::bundle::{Modality, SignalConfig};
use crate::embeddings::Embeddings;
use crate::error::{Error, Result, engine};

impl Encoder {
    /// Embeds windows of signals `[windows, channels, length]` with the default options:
    /// row `i` is window `i`.
    ///
    /// # Errors
    /// As [`Self::embed_signals_with`].
    pub fn embed_signals(&self, windows: ArrayView3<'_, f32>) -> Result<Embeddings> {
        self.embed_signals_with(windows, &EmbedOptions::default())
    }

    /// Embeds windows of signals `[windows, channels, length]`: row `i` is window `i`,
    /// whatever batches were formed. [`resample`](crate::resample()) gives windows another
    /// length.
    ///
    /// # Errors
    /// [`Error::Argument`] when the encoder reads no signals; for other channels or another
    /// length than it reads; for a sample that is not a finite number, naming its window and
    /// channel; or for more dimensions than there are. [`Error::Engine`] when ONNX Runtime
    /// fails.
    pub fn embed_signals_with(
        &self,
        windows: ArrayView3<'_, f32>,
        options: &EmbedOptions,
    ) -> Result<Embeddings> {
        self.check(Modality::Signal, options)?;
        let Some(config) = &self.manifest().signal else {
            return Err(self.reads_other(Modality::Signal));
        };
        config.check_windows(windows)?;
        let inputs = Signals { windows, config, batch_rows: options.batch_rows };
        let vectors = self.embed_inputs(&*self.inner.loaded()?, &inputs, options)?;
        Ok(Embeddings::new(vectors, 0, vec![0; windows.dim().0]))
    }
}

impl SignalConfig {
    /// Checks that an encoder can read windows `[windows, channels, length]`.
    fn check_windows(&self, windows: ArrayView3<'_, f32>) -> Result<()> {
        let (_, channels, length) = windows.dim();
        if channels != self.channels {
            let names = match self.channel_names.is_empty() {
                true => String::new(),
                false => format!(" ({})", self.channel_names.join(", ")),
            };
            return Err(Error::Argument(format!(
                "the signals have {channels} channels and the encoder reads {}{names}",
                self.channels
            )));
        }
        if length != self.length {
            let rate = self.sampling_rate.map_or(String::new(), |rate| format!(" at {rate} Hz"));
            return Err(Error::Argument(format!(
                "the signals have {length} samples and the encoder reads windows of {}{rate}; cut \
                 them to windows of that length, or resample them",
                self.length
            )));
        }
        match windows.indexed_iter().find(|(_, value)| !value.is_finite()) {
            Some(((window, channel, sample), value)) => Err(Error::Argument(format!(
                "sample {sample} of channel {} of signal {window} is {value}; samples must be \
                 finite numbers, so fill gaps first",
                self.channel(channel)
            ))),
            None => Ok(()),
        }
    }
}

/// Windows of signals as the graph reads them. Their length is in samples of all channels.
struct Signals<'a> {
    windows: ArrayView3<'a, f32>,
    config: &'a SignalConfig,
    batch_rows: usize,
}

impl Signals<'_> {
    fn values(&self) -> usize {
        self.config.channels * self.config.length
    }
}

impl Inputs for Signals<'_> {
    fn lengths(&self) -> Vec<usize> {
        vec![self.values(); self.windows.dim().0]
    }

    fn budget(&self) -> usize {
        fixed_budget(self.values(), self.batch_rows)
    }

    fn large(&self) -> usize {
        1 << 14
    }

    fn tensors(&self, batch: &Batch) -> Result<Vec<(&'static str, DynValue)>> {
        let mut values: Vec<f32> = Vec::with_capacity(batch.size());
        for &row in &batch.rows {
            values.extend(self.windows.index_axis(ndarray::Axis(0), row));
        }
        let shape = [batch.rows.len(), self.config.channels, self.config.length];
        let tensor =
            Tensor::from_array((shape, values)).map_err(engine("make the inputs of signals"))?;
        Ok(vec![("signals", tensor.into_dyn())])
    }
}
