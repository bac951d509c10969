//! The routes of Text Embeddings Inference. All are about the first bundle.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use offshoot::bundle::Pooling;
use offshoot::{Prompt, Truncation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Body;
use super::openai::{Input, check_count, rows};
use crate::batching::Row;
use crate::bundles::Cut;
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::TeiErrors;
use crate::server::App;
use crate::server::layers::Deadline;

/// `POST /`: clients that know only an address send either there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = EmbedOrSimilarity)]
pub(crate) enum Either {
    Similarity(Similarity),
    Embed(Embed),
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EmbedRequest)]
pub(crate) struct Embed {
    inputs: Input,
    truncate: Option<bool>,
    prompt_name: Option<String>,
    normalize: Option<bool>,
    dimensions: Option<usize>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SimilarityRequest)]
pub(crate) struct Similarity {
    inputs: Compared,
    parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct Compared {
    source_sentence: String,
    sentences: Vec<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
struct Parameters {
    truncate: Option<bool>,
    prompt_name: Option<String>,
}

/// One or many.
#[derive(Debug, Deserialize, ToSchema)]
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

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TokenizeRequest)]
pub(super) struct Tokenize {
    inputs: OneOrMany<String>,
    add_special_tokens: Option<bool>,
    prompt_name: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = DecodeRequest)]
pub(super) struct Decode {
    ids: OneOrMany<Vec<u32>>,
    skip_special_tokens: Option<bool>,
}

/// Vectors, or cosines of a similarity.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Numbers {
    Vectors(Vec<Vec<f32>>),
    Cosines(Vec<f32>),
}

/// A token, and where in the text it stands, in characters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Token {
    id: u32,
    text: String,
    special: bool,
    #[schema(required)]
    start: Option<usize>,
    #[schema(required)]
    stop: Option<usize>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct EmbeddingType {
    /// `cls`, `mean` or `last_token`.
    pooling: &'static str,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = ModelType)]
struct Type {
    embedding: EmbeddingType,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Info {
    model_id: String,
    model_sha: String,
    model_dtype: &'static str,
    served_model_name: String,
    model_type: Type,
    max_concurrent_requests: usize,
    max_input_length: usize,
    max_batch_tokens: usize,
    max_batch_requests: Option<usize>,
    max_client_batch_size: usize,
    auto_truncate: bool,
    tokenization_workers: usize,
    version: &'static str,
    sha: Option<String>,
    docker_label: Option<String>,
}

/// Texts are cut unless a client refuses it.
pub(super) fn truncation(asked: Option<bool>) -> Truncation {
    if asked == Some(false) { Truncation::Refuse } else { Truncation::Cut }
}

pub(super) fn prompt(name: Option<String>) -> Prompt {
    name.map_or(Prompt::Default, Prompt::Named)
}

/// Embeds or compares, as the body says.
#[utoipa::path(post, path = "/", tag = "Text Embeddings Inference", request_body = Either,
    responses((status = 200, description = "Vectors or cosines", body = Numbers), TeiErrors))]
pub(crate) async fn either(
    state: State<Arc<App>>,
    deadline: Extension<Deadline>,
    Body(request): Body<Either>,
) -> Answer<Json<Numbers>> {
    Ok(Json(match request {
        Either::Similarity(request) => {
            Numbers::Cosines(similarity(state, deadline, Body(request)).await?.0)
        }
        Either::Embed(request) => Numbers::Vectors(embed(state, deadline, Body(request)).await?.0),
    }))
}

/// Embeddings of texts or token ids.
#[utoipa::path(post, path = "/embed", tag = "Text Embeddings Inference", request_body = Embed,
    responses((status = 200, description = "A vector for each input", body = Vec<Vec<f32>>),
              TeiErrors))]
pub(super) async fn embed(
    State(app): State<Arc<App>>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Body(request): Body<Embed>,
) -> Answer<Json<Vec<Vec<f32>>>> {
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
    Ok(Json(vectors))
}

/// Cosines of sentences with one.
#[utoipa::path(post, path = "/similarity", tag = "Text Embeddings Inference",
    request_body = Similarity,
    responses((status = 200, description = "A cosine for each sentence", body = Vec<f32>),
              TeiErrors))]
pub(super) async fn similarity(
    State(app): State<Arc<App>>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Body(request): Body<Similarity>,
) -> Answer<Json<Vec<f32>>> {
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
    Ok(Json(others.iter().map(dot).collect()))
}

/// Tokens of texts, with where they stand.
#[utoipa::path(post, path = "/tokenize", tag = "Text Embeddings Inference", request_body = Tokenize,
    responses((status = 200, description = "Tokens of each text", body = Vec<Vec<Token>>),
              TeiErrors))]
pub(super) async fn tokenize(
    State(app): State<Arc<App>>,
    Body(request): Body<Tokenize>,
) -> Answer<Json<Vec<Vec<Token>>>> {
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
                let token = |t: offshoot::TokenSpan| {
                    let (start, stop) = t.span.unzip();
                    Token { id: t.id, text: t.text, special: t.special, start, stop }
                };
                rows.push(tokens.into_iter().map(token).collect());
            }
            Ok(rows)
        })
        .await?;
    Ok(Json(rows))
}

/// Texts of token ids.
#[utoipa::path(post, path = "/decode", tag = "Text Embeddings Inference", request_body = Decode,
    responses((status = 200, description = "A text for each row of ids", body = Vec<String>),
              TeiErrors))]
pub(super) async fn decode(
    State(app): State<Arc<App>>,
    Body(request): Body<Decode>,
) -> Answer<Json<Vec<String>>> {
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
    Ok(Json(texts))
}

/// What is served, and within which limits.
#[utoipa::path(get, path = "/info", tag = "Text Embeddings Inference",
    responses((status = 200, description = "The first bundle", body = Info), TeiErrors))]
pub(super) async fn info(State(app): State<Arc<App>>) -> Answer<Json<Info>> {
    let model = app.bundles.get(None)?;
    let pooling = match model.manifest.pooling {
        Pooling::Cls => "cls",
        Pooling::LastToken => "last_token",
        _ => "mean",
    };
    let text = model.manifest.text.as_ref();
    Ok(Json(Info {
        model_id: model.name.clone(),
        model_sha: model.digest.clone(),
        model_dtype: "float32",
        served_model_name: model.name.clone(),
        model_type: Type { embedding: EmbeddingType { pooling } },
        max_concurrent_requests: app.config.queue_tokens,
        max_input_length: text.map_or(0, |text| text.max_tokens),
        max_batch_tokens: offshoot::BATCH_TOKENS,
        max_client_batch_size: app.config.max_inputs,
        auto_truncate: true,
        tokenization_workers: 1,
        version: env!("CARGO_PKG_VERSION"),
        ..Info::default()
    }))
}

/// Healthy unless the service ends.
#[utoipa::path(get, path = "/health", tag = "Text Embeddings Inference",
    responses((status = 200, description = "The service answers"), TeiErrors))]
pub(super) async fn health(State(app): State<Arc<App>>) -> Answer<()> {
    match app.is_draining() {
        false => Ok(()),
        true => Err(Fault::new(Kind::Unavailable, "the service ends")),
    }
}
