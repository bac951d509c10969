//! What is taught and asked: texts, images, windows of signals.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::{Array2, Axis};
use offshoot::Image;
use offshoot::bundle::{Manifest, Modality};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Taught;
use crate::batching::Row;
use crate::bundles::Cut;
use crate::fault::{Answer, Fault};

/// An input. A string is a text.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = LearnerInput)]
pub(super) enum Input {
    Text(String),
    Named(Named),
}

/// An input that says what it is.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = NamedInput)]
#[serde(rename_all = "lowercase")]
pub(super) enum Named {
    /// A text.
    Text(String),
    /// The bytes of a PNG, JPEG, WebP or BMP file in base64, with or without
    /// `data:…;base64,` before them.
    Image(String),
    /// Samples, a list for each channel.
    Signal(Vec<Vec<f32>>),
}

impl Input {
    /// The text to be kept with an example.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Named(Named::Text(text)) => Some(text),
            Self::Named(_) => None,
        }
    }
}

/// Embeddings of inputs as the learner embeds its own, `[inputs, dimensions]`.
pub(super) async fn embed(
    taught: &Arc<Taught>,
    inputs: Vec<Input>,
    deadline: Instant,
) -> Answer<Array2<f32>> {
    let model = &taught.model;
    let count = inputs.len();
    let options = taught.learner.embed_options().clone();
    let rows: Vec<Row> = if model.manifest.modality == Modality::Text {
        let texts = inputs
            .into_iter()
            .enumerate()
            .map(|(i, input)| match input {
                Input::Text(text) | Input::Named(Named::Text(text)) => Ok(text),
                Input::Named(_) => Err(other(i, &model.manifest)),
            })
            .collect::<Answer<Vec<String>>>()?;
        let tokens = model.tokenize(texts, options.prompt, options.truncation).await?;
        tokens.into_iter().map(Row::Tokens).collect()
    } else {
        let manifest = model.manifest.clone();
        // Decoding images takes long.
        tokio::task::spawn_blocking(move || {
            let rows = inputs.into_iter().enumerate();
            rows.map(|(i, input)| row(i, input, &manifest)).collect::<Answer<Vec<Row>>>()
        })
        .await
        .map_err(Fault::internal)??
    };
    let width = model.manifest.embedding_size;
    let dimensions = options.dimensions.map_or(width, std::num::NonZeroUsize::get);
    let cut = Cut { dimensions, normalize: false };
    let vectors = model.embed(rows, deadline, cut).await?;
    Array2::from_shape_vec((count, dimensions), vectors.into_iter().flatten().collect())
        .map_err(Fault::internal)
}

fn other(i: usize, manifest: &Manifest) -> Fault {
    Fault::invalid(format!(
        "input {i} is not what this encoder reads: send {{\"{}\": …}}",
        manifest.modality.name()
    ))
}

fn row(i: usize, input: Input, manifest: &Manifest) -> Answer<Row> {
    let bad = |reason: String| Fault::invalid(format!("input {i}: {reason}"));
    match (input, manifest.image, &manifest.signal) {
        (Input::Named(Named::Image(text)), Some(config), _) => {
            let data = match text.strip_prefix("data:") {
                Some(rest) => rest.split_once(',').map_or("", |(_, data)| data),
                None => &text,
            };
            let bytes = STANDARD
                .decode(data.trim())
                .map_err(|_| bad("the image is not in base64".into()))?;
            let image = Image::decode(&bytes).map_err(|error| bad(error.to_string()))?;
            let fitted = config.fit(&image).map_err(|error| bad(error.to_string()))?;
            Ok(Row::Image(fitted.into_owned()))
        }
        (Input::Named(Named::Signal(channels)), _, Some(config)) => {
            let length = channels.first().map_or(0, Vec::len);
            if channels.len() != config.channels || channels.iter().any(|c| c.len() != length) {
                return Err(bad(format!(
                    "a signal of this encoder has {} channels of the same length",
                    config.channels
                )));
            }
            if channels.iter().flatten().any(|value| !value.is_finite()) || length == 0 {
                return Err(bad("samples must be finite numbers, at least one".into()));
            }
            let mut signal = Array2::zeros((channels.len(), length));
            for (mut to, from) in signal.axis_iter_mut(Axis(0)).zip(&channels) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
            Ok(Row::Signal(offshoot::resample(signal.view(), config.length)))
        }
        _ => Err(other(i, manifest)),
    }
}
