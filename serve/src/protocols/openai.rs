//! OpenAI's embeddings and models.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offshoot::bundle::Modality;
use offshoot::{Prompt, Truncation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Body;
use crate::batching::Row;
use crate::bundles::{Cut, Model};
use crate::fault::{Answer, Fault, Kind};
use crate::server::App;
use crate::server::layers::Deadline;

/// What is embedded.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Input {
    Text(String),
    Ids(Vec<u32>),
    Texts(Vec<String>),
    ManyIds(Vec<Vec<u32>>),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    input: Input,
    model: Option<String>,
    #[serde(default)]
    encoding_format: Option<Encoding>,
    dimensions: Option<usize>,
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

pub(super) async fn embeddings(
    State(app): State<Arc<App>>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Body(request): Body<Request>,
) -> Answer<Json<Value>> {
    let model = app.bundles.get(request.model.as_deref())?;
    let dimensions = model.dimensions(request.dimensions)?;
    let rows = rows(&app, &model, request.input, Prompt::Default, Truncation::Cut).await?;
    let tokens: usize = rows.iter().map(Vec::len).sum();
    let rows = rows.into_iter().map(Row::Tokens).collect();
    let cut = Cut { dimensions, normalize: model.manifest.normalized };
    let vectors = model.embed(rows, deadline, cut).await?;
    let encoding = request.encoding_format.unwrap_or_default();
    let data: Vec<Value> = vectors
        .into_iter()
        .enumerate()
        .map(|(index, vector)| {
            let embedding = match encoding {
                Encoding::Float => json!(vector),
                Encoding::Base64 => {
                    let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
                    Value::String(STANDARD.encode(bytes))
                }
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    Ok(Json(json!({
        "object": "list", "data": data, "model": model.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })))
}

fn described(model: &Model) -> Value {
    json!({"id": model.name, "object": "model", "created": 0, "owned_by": "offshoot",
           "dimensions": model.manifest.embedding_size, "reads": model.manifest.modality.name(),
           "digest": model.digest})
}

pub(super) async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    let data: Vec<Value> = app.bundles.all().map(|model| described(&model)).collect();
    Json(json!({"object": "list", "data": data}))
}

pub(super) async fn model(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Answer<Json<Value>> {
    Ok(Json(described(&*app.bundles.get(Some(&name))?)))
}
