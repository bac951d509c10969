//! OpenAI's embeddings and models.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offshoot::bundle::Modality;
use offshoot::{Prompt, Truncation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Body;
use crate::batching::Row;
use crate::bundles::{Cut, Model};
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::OpenAiErrors;
use crate::server::App;
use crate::server::layers::Deadline;

/// What is embedded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = EmbedInput)]
pub(super) enum Input {
    Text(String),
    Ids(Vec<u32>),
    Texts(Vec<String>),
    ManyIds(Vec<Vec<u32>>),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

/// Texts or token ids to embed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EmbeddingsRequest)]
pub(super) struct Request {
    input: Input,
    model: Option<String>,
    #[serde(default)]
    encoding_format: Option<Encoding>,
    dimensions: Option<usize>,
}

/// A vector, as the client asked for it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Vector {
    Float(Vec<f32>),
    /// Little-endian floats of 32 bits in base64.
    Base64(String),
}

#[derive(Debug, Serialize, ToSchema)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Debug, Serialize, ToSchema)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Embeddings {
    object: &'static str,
    data: Vec<Embedding>,
    model: String,
    usage: Usage,
}

/// A bundle that is served, with what this service knows besides.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelInfo {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    dimensions: usize,
    /// `text`, `image` or `signal`.
    reads: &'static str,
    digest: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Models {
    object: &'static str,
    data: Vec<ModelInfo>,
}

/// Tokens of what a client sent.
pub(super) async fn rows(
    app: &App,
    model: &Arc<Model>,
    input: Input,
    prompt: Prompt,
    truncation: Truncation,
) -> Answer<Vec<Vec<u32>>> {
    if model.manifest.modality != Modality::Text {
        return Err(Fault::invalid(format!(
            "the model {:?} reads {}; teach a learner of it",
            model.name,
            model.manifest.modality.plural()
        )));
    }
    let count = match &input {
        Input::Text(_) => 1,
        // An empty list is read as one of ids.
        Input::Ids(ids) => usize::from(!ids.is_empty()),
        Input::Texts(texts) => texts.len(),
        Input::ManyIds(rows) => rows.len(),
    };
    check_count(app, count)?;
    match input {
        Input::Text(text) => model.tokenize(vec![text], prompt, truncation).await,
        Input::Texts(texts) => model.tokenize(texts, prompt, truncation).await,
        Input::Ids(ids) => model.check_ids(vec![ids], truncation).await,
        Input::ManyIds(rows) => model.check_ids(rows, truncation).await,
    }
}

/// Refuses none and too many inputs.
pub(super) fn check_count(app: &App, count: usize) -> Answer<()> {
    match count {
        0 => Err(Fault::new(Kind::Empty, "there is no input")),
        n if n > app.config.max_inputs => Err(Fault::invalid(format!(
            "there are {n} inputs and a request may have {}; send several",
            app.config.max_inputs
        ))),
        _ => Ok(()),
    }
}

/// Embeddings of texts or token ids.
#[utoipa::path(post, path = "/v1/embeddings", tag = "OpenAI", request_body = Request,
    responses((status = 200, description = "A vector for each input", body = Embeddings),
              OpenAiErrors))]
pub(super) async fn embeddings(
    state: State<Arc<App>>,
    deadline: Extension<Deadline>,
    body: Body<Request>,
) -> Answer<Json<Embeddings>> {
    answer(state, deadline, body).await
}

/// `/v1/embeddings` for clients that are given the address without `/v1`.
#[utoipa::path(post, path = "/embeddings", tag = "OpenAI", request_body = Request,
    responses((status = 200, description = "A vector for each input", body = Embeddings),
              OpenAiErrors))]
pub(super) async fn short(
    state: State<Arc<App>>,
    deadline: Extension<Deadline>,
    body: Body<Request>,
) -> Answer<Json<Embeddings>> {
    answer(state, deadline, body).await
}

async fn answer(
    State(app): State<Arc<App>>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Body(request): Body<Request>,
) -> Answer<Json<Embeddings>> {
    let model = app.bundles.get(request.model.as_deref())?;
    let dimensions = model.dimensions(request.dimensions)?;
    let rows = rows(&app, &model, request.input, Prompt::Default, Truncation::Cut).await?;
    let tokens: usize = rows.iter().map(Vec::len).sum();
    let rows = rows.into_iter().map(Row::Tokens).collect();
    let cut = Cut { dimensions, normalize: model.manifest.normalized };
    let vectors = model.embed(rows, deadline, cut).await?;
    let encoding = request.encoding_format.unwrap_or_default();
    let data = vectors
        .into_iter()
        .enumerate()
        .map(|(index, vector)| {
            let embedding = match encoding {
                Encoding::Float => Vector::Float(vector),
                Encoding::Base64 => {
                    let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
                    Vector::Base64(STANDARD.encode(bytes))
                }
            };
            Embedding { object: "embedding", index, embedding }
        })
        .collect();
    let usage = Usage { prompt_tokens: tokens, total_tokens: tokens };
    Ok(Json(Embeddings { object: "list", data, model: model.name.clone(), usage }))
}

fn described(model: &Model) -> ModelInfo {
    ModelInfo {
        id: model.name.clone(),
        object: "model",
        created: 0,
        owned_by: "offshoot",
        dimensions: model.manifest.embedding_size,
        reads: model.manifest.modality.name(),
        digest: model.digest.clone(),
    }
}

/// The bundles that are served.
#[utoipa::path(get, path = "/v1/models", tag = "OpenAI",
    responses((status = 200, description = "All models", body = Models), OpenAiErrors))]
pub(super) async fn models(State(app): State<Arc<App>>) -> Json<Models> {
    let data = app.bundles.all().map(|model| described(&model)).collect();
    Json(Models { object: "list", data })
}

/// A bundle that is served.
#[utoipa::path(get, path = "/v1/models/{name}", tag = "OpenAI",
    params(("name" = String, Path, description = "The model's name")),
    responses((status = 200, description = "The model", body = ModelInfo), OpenAiErrors))]
pub(super) async fn model(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
) -> Answer<Json<ModelInfo>> {
    let Path(name) = name.map_err(|error| Fault::invalid(error.body_text()))?;
    Ok(Json(described(&*app.bundles.get(Some(&name))?)))
}
