//! `/embed_all` of Text Embeddings Inference: the vectors of tokens, before they are pooled.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Body;
use super::openai::{Input, rows};
use super::tei::{prompt, truncation};
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::TeiErrors;
use crate::server::App;
use crate::server::layers::Deadline;

/// Texts or token ids of which every token's vector is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EmbedAllRequest)]
pub(super) struct EmbedAll {
    inputs: Input,
    /// Whether texts that are too long are cut, which is so unless this is false.
    truncate: Option<bool>,
    prompt_name: Option<String>,
}

/// Vectors of every token, special ones included, as the encoder's pooling reads them: not scaled
/// to unit length.
#[utoipa::path(post, path = "/embed_all", tag = "Text Embeddings Inference",
    request_body = EmbedAll,
    responses((status = 200, description = "For each input a vector for each token",
               body = Vec<Vec<Vec<f32>>>),
              TeiErrors))]
pub(super) async fn embed_all(
    State(app): State<Arc<App>>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Body(request): Body<EmbedAll>,
) -> Answer<Json<Vec<Vec<Vec<f32>>>>> {
    let model = app.bundles.get(None)?;
    let (prompt, cut) = (prompt(request.prompt_name), truncation(request.truncate));
    let rows = rows(&app, &model, request.inputs, prompt, cut).await?;
    let width = model.token_width().await?;
    let tokens: usize = rows.iter().map(Vec::len).sum();
    let (numbers, most) = (tokens.saturating_mul(width), app.config.max_numbers);
    if numbers > most {
        return Err(Fault::new(
            Kind::TooLarge,
            format!(
                "{tokens} tokens have vectors of {width} numbers each, and an answer may have \
                 {most} numbers (--max-numbers of the service); send fewer texts at once"
            ),
        ));
    }
    Ok(Json(model.token_vectors(rows, width, deadline).await?))
}
