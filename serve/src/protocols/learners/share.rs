//! What leaves a learner: heads, fused files, and heads of several learners together.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use offshoot_adapters::statistics::{Shrinkage, Statistics};
use offshoot_adapters::{HeadFile, HeadKind, Ridge};
use offshoot_export::{FuseOptions, fuse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Id, Taught, open};
use crate::auth::Owner;
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::Problems;
use crate::protocols::Body;
use crate::server::App;

fn file(name: String, bytes: Vec<u8>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, bytes)
}

/// The head, to be used with its encoder.
#[utoipa::path(get, path = "/v1/learners/{id}/export/head", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    responses((status = 200, description = "A head file", body = Vec<u8>, content_type = "application/octet-stream"),
              Problems))]
pub(super) async fn head(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
) -> Answer<impl IntoResponse> {
    let taught = open::get(&app, &owner, &id).await?;
    let bytes = taught.blocking(|taught| Ok(taught.learner.head()?.to_bytes()?)).await?;
    Ok(file(format!("{id}.head"), bytes))
}

/// Encoder and head in one ONNX file.
#[utoipa::path(get, path = "/v1/learners/{id}/export/onnx", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    responses((status = 200, description = "An ONNX file", body = Vec<u8>, content_type = "application/octet-stream"),
              Problems))]
pub(super) async fn onnx(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
) -> Answer<impl IntoResponse> {
    let taught = open::get(&app, &owner, &id).await?;
    let work = |taught: &Taught| {
        let head = taught.learner.head()?;
        let folder = tempfile::tempdir().map_err(Fault::internal)?;
        let output = folder.path().join("fused.onnx");
        let options = FuseOptions::default();
        fuse(&taught.model.path, &head, &output, &options, &mut |_| {}).map_err(
            |error| match error {
                offshoot_export::Error::Head(_) => Fault::new(
                    Kind::Conflict,
                    "this head cannot be fused with the bundle: it votes among its examples, or \
                     the bundle was replaced",
                ),
                other => Fault::internal(other),
            },
        )?;
        std::fs::read(&output).map_err(Fault::internal)
    };
    let bytes = taught.blocking(work).await?;
    Ok(file(format!("{id}.onnx"), bytes))
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MergeRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    /// Other learners of the same key and encoder.
    with: Vec<String>,
    head: Option<String>,
}

/// The head of the pooled examples of several learners, from their sums.
#[utoipa::path(post, path = "/v1/learners/{id}/merge", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    request_body = Merge,
    responses((status = 200, description = "A head file", body = Vec<u8>, content_type = "application/octet-stream"),
              Problems))]
pub(super) async fn merge(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    Body(request): Body<Merge>,
) -> Answer<impl IntoResponse> {
    let kind: HeadKind = request.head.as_deref().unwrap_or("discriminant").parse()?;
    let first = open::get(&app, &owner, &id).await?;
    let mut others: Vec<Arc<Taught>> = Vec::new();
    for other in &request.with {
        let taught = open::get(&app, &owner, other).await?;
        if Arc::ptr_eq(&taught, &first) || others.iter().any(|known| Arc::ptr_eq(known, &taught)) {
            return Err(Fault::invalid(format!("{other:?} would count twice; name it once")));
        }
        others.push(taught);
    }
    let work = move |first: &Taught| {
        let tag = first.learner.with_store(|store| store.info().encoder.clone());
        let mut sums = Statistics::new(tag.dimensions)?;
        for taught in std::iter::once(first).chain(others.iter().map(|taught| &**taught)) {
            let other = taught.learner.with_store(|store| store.info().encoder.clone());
            if (&other.digest, other.dimensions, &other.prompt)
                != (&tag.digest, tag.dimensions, &tag.prompt)
            {
                return Err(Fault::new(
                    Kind::Conflict,
                    "the learners have different encoders, dimensions or prompts",
                ));
            }
            sums = taught.learner.with_store(|store| store.statistics(sums))?;
        }
        let head = match kind {
            HeadKind::Discriminant => sums.discriminant(Shrinkage::default())?,
            HeadKind::Ridge => sums.ridge(&Ridge::default())?,
            HeadKind::NearestMean => sums.nearest_mean()?,
            _ => {
                return Err(Fault::invalid(
                    "a merged head is one of discriminant, ridge and nearest-mean",
                ));
            }
        };
        let mut file = HeadFile::new(tag, head, &[]);
        let count = |&count: &u64| usize::try_from(count).unwrap_or(usize::MAX);
        file.examples = sums.counts().iter().map(count).collect();
        Ok(file.to_bytes()?)
    };
    let bytes = first.blocking(work).await?;
    Ok(file(format!("{id}-merged.head"), bytes))
}
