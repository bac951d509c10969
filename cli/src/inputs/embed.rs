//! From rows to embeddings.

use ndarray::{Array2, Array3};
use offshoot::bundle::{ImageConfig, Manifest, Modality, SignalConfig};
use offshoot::{EmbedOptions, Embeddings, Encoder, Image, resample};
use offshoot_export::parity::Input;
use offshoot_models::data::{Example, fill_missing};

use super::rows::{Row, shown};
use crate::failure::{Code, Failure, Result};
use crate::progress;

/// Embeds rows of whatever the encoder reads, and counts what was done to them.
pub(crate) struct Embedder<'a> {
    encoder: &'a Encoder,
    options: &'a EmbedOptions,
    /// Texts that were cut.
    cut: usize,
    /// Signals that had another length.
    resampled: usize,
    /// Signals that had missing values.
    filled: usize,
}

impl<'a> Embedder<'a> {
    /// For one encoder and one way to embed.
    pub(crate) fn new(encoder: &'a Encoder, options: &'a EmbedOptions) -> Self {
        Self { encoder, options, cut: 0, resampled: 0, filled: 0 }
    }

    /// Embeds a chunk; an error about one row names it.
    pub(crate) fn embed(&mut self, chunk: &[Row]) -> Result<Embeddings> {
        let manifest = self.encoder.manifest();
        if let Some(config) = manifest.image {
            let images = self.each(chunk, |row| image(row, config))?;
            return Ok(self.encoder.embed_images_with(&images, self.options)?);
        }
        if let Some(config) = &manifest.signal {
            let windows = self.windows(chunk, config)?;
            return Ok(self.encoder.embed_signals_with(windows.view(), self.options)?);
        }
        let embedded =
            self.encoder.embed_with(&shown(chunk), self.options).map_err(|error| match error {
                offshoot::Error::TooLong { row, tokens, max_tokens } => {
                    let number = chunk.get(row).map_or(0, |row| row.number);
                    Failure::data(format!(
                        "the text of row {number} has {tokens} tokens and the encoder reads \
                         {max_tokens}; shorten it, or let --truncate be cut"
                    ))
                }
                other => other.into(),
            })?;
        self.cut += embedded.texts_cut();
        Ok(embedded)
    }

    /// Says how many texts were cut and how many signals filled in or resampled, if any.
    pub(crate) fn note(&self) {
        if self.cut > 0 {
            progress::say(&format!(
                "note: {} {} longer than {} tokens and cut there",
                self.cut,
                if self.cut == 1 { "text was" } else { "texts were" },
                self.encoder.max_tokens()
            ));
        }
        let signals = |count: usize| match count {
            1 => "1 signal".to_owned(),
            _ => format!("{} signals", progress::grouped(count as u64)),
        };
        if self.filled > 0 {
            progress::say(&format!(
                "note: {} had missing values, which were filled in between their neighbours",
                signals(self.filled)
            ));
        }
        if self.resampled > 0
            && let Some(signal) = &self.encoder.manifest().signal
        {
            progress::say(&format!(
                "note: {} had another length than the {} samples that the encoder reads, and {} \
                 resampled",
                signals(self.resampled),
                progress::grouped(signal.length as u64),
                if self.resampled == 1 { "was" } else { "were" },
            ));
        }
    }

    /// Windows as the encoder reads them, `[rows, channels, length]`.
    fn windows(&mut self, chunk: &[Row], config: &SignalConfig) -> Result<Array3<f32>> {
        let mut windows = Array3::zeros((chunk.len(), config.channels, config.length));
        let signals = self.each(chunk, |row| signal(row, config))?;
        for (mut window, signal) in windows.outer_iter_mut().zip(signals) {
            window.assign(&signal.values);
            self.resampled += usize::from(signal.resampled);
            self.filled += usize::from(signal.filled);
        }
        Ok(windows)
    }

    /// Does `work` on every row, on as many threads as the encoder uses.
    fn each<T: Send>(
        &self,
        rows: &[Row],
        work: impl Fn(&Row) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let threads = self.encoder.threads().get().min(rows.len());
        if threads < 2 {
            return rows.iter().map(work).collect();
        }
        let work = &work;
        std::thread::scope(|scope| {
            let parts: Vec<_> = rows
                .chunks(rows.len().div_ceil(threads))
                .map(|part| scope.spawn(move || part.iter().map(work).collect::<Result<Vec<T>>>()))
                .collect();
            let mut all = Vec::with_capacity(rows.len());
            for part in parts {
                all.extend(part.join().unwrap_or_else(|_| {
                    Err(Failure::new(Code::Bug, "a thread that read inputs ended early"))
                })?);
            }
            Ok(all)
        })
    }
}

/// What an encoder is compared on: the row as it is embedded. Without a manifest it is a text.
pub(crate) fn comparable(row: &Row, manifest: Option<&Manifest>) -> Result<Input> {
    let image_of = manifest.and_then(|manifest| manifest.image);
    Ok(match (image_of, manifest.and_then(|manifest| manifest.signal.as_ref())) {
        (Some(config), _) => Input::Image(image(row, config)?),
        (_, Some(config)) => Input::Signal(signal(row, config)?.values),
        _ => Input::Text(row.shown.clone()),
    })
}

/// The image of a row as the encoder reads it.
fn image(row: &Row, config: ImageConfig) -> Result<Image> {
    let Example::Image(image) = row.read()? else { return Err(other(row, Modality::Image)) };
    let fitted = config
        .fit(&image)
        .map_err(|error| Failure::data(format!("the image of {}: {error}", row.name())))?;
    Ok(fitted.into_owned())
}

/// A signal as the encoder reads it.
struct Window {
    /// `[channels, length]`.
    values: Array2<f32>,
    /// It had another length.
    resampled: bool,
    /// It had missing values.
    filled: bool,
}

/// The signal of a row, with the encoder's length and without gaps.
fn signal(row: &Row, config: &SignalConfig) -> Result<Window> {
    let Example::Signal(mut values) = row.read()? else { return Err(other(row, Modality::Signal)) };
    let bad = |reason: String| Failure::data(format!("the signal of {} {reason}", row.name()));
    let (channels, samples) = values.dim();
    if channels != config.channels {
        let names = match config.channel_names.is_empty() {
            true => String::new(),
            false => format!(" ({})", config.channel_names.join(", ")),
        };
        return Err(bad(format!(
            "has {channels} channels and the encoder reads {}{names}",
            config.channels
        )));
    }
    if samples == 0 {
        return Err(bad("has no samples".to_owned()));
    }
    let filled = fill_missing(&mut values) > 0;
    if samples == config.length {
        return Ok(Window { values, resampled: false, filled });
    }
    Ok(Window { values: resample(values.view(), config.length), resampled: true, filled })
}

fn other(row: &Row, wanted: Modality) -> Failure {
    Failure::data(format!(
        "{} is no {wanted}, and the encoder reads {}",
        row.name(),
        wanted.plural()
    ))
}
