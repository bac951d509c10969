//! The routes of Text Embeddings Inference. All are about the first bundle.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use offshoot::bundle::Pooling;
use offshoot::{Prompt, Truncation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Body;
use super::openai::{Input, check_count, rows};
use crate::batching::Row;
use crate::bundles::Cut;
use crate::fault::{Answer, Fault, Kind};
use crate::server::App;
use crate::server::layers::Deadline;

/// `POST /`: clients that know only an address send either there.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Either {
    Similarity(Similarity),
    Embed(Embed),
}

#[derive(Debug, Deserialize)]
pub(crate) struct Embed {
    inputs: Input,
    truncate: Option<bool>,
    prompt_name: Option<String>,
    normalize: Option<bool>,
    dimensions: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Similarity {
    inputs: Compared,
    parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize)]
struct Compared {
    source_sentence: String,
    sentences: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    truncate: Option<bool>,
    prompt_name: Option<String>,
}

/// One or many.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Tokenize {
    inputs: OneOrMany<String>,
    add_special_tokens: Option<bool>,
    prompt_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Decode {
    ids: OneOrMany<Vec<u32>>,
    skip_special_tokens: Option<bool>,
}

/// Texts are cut unless a client refuses it.
fn truncation(asked: Option<bool>) -> Truncation {
    if asked == Some(false) { Truncation::Refuse } else { Truncation::Cut }
}

fn prompt(name: Option<String>) -> Prompt {
    name.map_or(Prompt::Default, Prompt::Named)
}

pub(crate) async fn either(
    state: State<Arc<App>>,
    deadline: Extension<Deadline>,
    Body(request): Body<Either>,
) -> Answer<Json<Value>> {
    match request {
        Either::Similarity(request) => similarity(state, deadline, Body(request)).await,
        Either::Embed(request) => embed(state, deadline, Body(request)).await,
    }
}

pub(super) async fn embed(
    State(app): State<Arc<App>>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Body(request): Body<Embed>,
) -> Answer<Json<Value>> {
    let model = app.bundles.get(None)?;
    let normalize = request.normalize.unwrap_or(true);
    if !normalize && model.manifest.normalized {
        return Err(Fault::invalid(
            "`normalize` is false, and this encoder itself gives unit vectors; leave it out",
        ));
    }
    let dimensions = model.dimensions(request.dimensions)?;
    let prompt = prompt(request.prompt_name);
    let rows = rows(&app, &model, request.inputs, prompt, truncation(request.truncate)).await?;
    let rows = rows.into_iter().map(Row::Tokens).collect();
    let vectors = model.embed(rows, deadline, Cut { dimensions, normalize }).await?;
    Ok(Json(json!(vectors)))
}

pub(super) async fn similarity(
    State(app): State<Arc<App>>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Body(request): Body<Similarity>,
) -> Answer<Json<Value>> {
    let model = app.bundles.get(None)?;
    let Compared { source_sentence, sentences } = request.inputs;
    check_count(&app, sentences.len())?;
    let texts = std::iter::once(source_sentence).chain(sentences).collect();
    let Parameters { truncate, prompt_name } = request.parameters.unwrap_or_default();
    let cut = truncation(truncate);
    let rows = rows(&app, &model, Input::Texts(texts), prompt(prompt_name), cut).await?;
    let rows = rows.into_iter().map(Row::Tokens).collect();
    let dimensions = model.manifest.embedding_size;
    let vectors = model.embed(rows, deadline, Cut { dimensions, normalize: true }).await?;
    let Some((source, others)) = vectors.split_first() else {
        return Err(Fault::internal("a request has no vectors"));
    };
    let dot = |other: &Vec<f32>| source.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
    Ok(Json(json!(others.iter().map(dot).collect::<Vec<f32>>())))
}

pub(super) async fn tokenize(
    State(app): State<Arc<App>>,
    Body(request): Body<Tokenize>,
) -> Answer<Json<Value>> {
    let model = app.bundles.get(None)?;
    let texts = request.inputs.into_vec();
    check_count(&app, texts.len())?;
    let special = request.add_special_tokens.unwrap_or(true);
    let prompts = model.manifest.text.as_ref().map(|text| text.prompts.clone()).unwrap_or_default();
    let before = match request.prompt_name {
        None => String::new(),
        Some(name) => prompts
            .get(&name)
            .cloned()
            .ok_or_else(|| Fault::invalid(format!("there is no prompt {name:?}")))?,
    };
    let rows = model
        .blocking(move |encoder| {
            let mut rows = Vec::with_capacity(texts.len());
            for text in texts {
                let tokens = encoder.token_spans(&format!("{before}{text}"), special)?;
                let row: Vec<Value> = tokens
                    .into_iter()
                    .map(|t| {
                        let (start, stop) = t.span.unzip();
                        json!({"id": t.id, "text": t.text, "special": t.special, "start": start,
                               "stop": stop})
                    })
                    .collect();
                rows.push(row);
            }
            Ok(rows)
        })
        .await?;
    Ok(Json(json!(rows)))
}

pub(super) async fn decode(
    State(app): State<Arc<App>>,
    Body(request): Body<Decode>,
) -> Answer<Json<Value>> {
    let model = app.bundles.get(None)?;
    let rows = request.ids.into_vec();
    check_count(&app, rows.len())?;
    let skip = request.skip_special_tokens.unwrap_or(true);
    let texts: Vec<String> = model
        .blocking(move |encoder| {
            let decode = |ids: &Vec<u32>| match skip {
                true => encoder.decode(ids),
                false => encoder.decode_all(ids),
            };
            Ok(rows.iter().map(decode).collect::<offshoot::Result<_>>()?)
        })
        .await?;
    Ok(Json(json!(texts)))
}

pub(super) async fn info(State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    let model = app.bundles.get(None)?;
    let pooling = match model.manifest.pooling {
        Pooling::Cls => "cls",
        Pooling::LastToken => "last_token",
        _ => "mean",
    };
    let text = model.manifest.text.as_ref();
    Ok(Json(json!({
        "model_id": model.name, "model_sha": model.digest, "model_dtype": "float32",
        "served_model_name": model.name, "model_type": {"embedding": {"pooling": pooling}},
        "max_concurrent_requests": app.config.queue_tokens,
        "max_input_length": text.map_or(0, |text| text.max_tokens),
        "max_batch_tokens": offshoot::BATCH_TOKENS, "max_batch_requests": null,
        "max_client_batch_size": app.config.max_inputs, "auto_truncate": true,
        "tokenization_workers": 1, "version": env!("CARGO_PKG_VERSION"), "sha": null,
        "docker_label": null,
    })))
}

/// Healthy unless the service ends.
pub(super) async fn health(State(app): State<Arc<App>>) -> Answer<()> {
    match app.is_draining() {
        false => Ok(()),
        true => Err(Fault::new(Kind::Unavailable, "the service ends")),
    }
}
