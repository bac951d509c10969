//! What leaves a learner: heads, fused files, and heads of several learners together.

use std::io::Read;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use offshoot_adapters::statistics::{Shrinkage, Statistics};
use offshoot_adapters::{EncoderTag, Error, Head, HeadFile, HeadKind, Ridge, StatisticsFile};
use offshoot_export::{FuseOptions, fuse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::privacy::{Wanted, file};
use super::{Id, Taught, open};
use crate::auth::Owner;
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::Problems;
use crate::protocols::Body as Json;
use crate::server::App;

/// Bytes of a file that are sent or written at a time.
pub(super) const PART: usize = 256 << 10;

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
    Ok(file(format!("{id}.head"), None, bytes))
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
        fuse(&taught.model.path, &*head, &output, &options, &mut |_| {}).map_err(|error| {
            match error {
                offshoot_export::Error::Head(_) => Fault::new(
                    Kind::Conflict,
                    "this head cannot be fused with the bundle, which was replaced",
                ),
                other => Fault::internal(other),
            }
        })?;
        std::fs::read(&output).map_err(Fault::internal)
    };
    let bytes = taught.blocking(work).await?;
    Ok(file(format!("{id}.onnx"), None, bytes))
}

/// The sums of the learner's examples, to be merged elsewhere. They hold no example, but of a
/// class with one example the sum is that example's embedding; with `epsilon` they are
/// differentially private.
#[utoipa::path(get, path = "/v1/learners/{id}/export/statistics", tag = "learners",
    params(("id" = String, Path, description = "The learner's id"), Wanted),
    responses((status = 200, description = "A file of statistics", body = Vec<u8>, content_type = "application/octet-stream",
               headers(("privacy-epsilon" = f64, description = "ε that this answer spent"),
                       ("privacy-delta" = f64, description = "δ"),
                       ("privacy-rho" = f64, description = "ρ; of all answers they add up"),
                       ("privacy-deviation" = f64, description = "Of the noise; an example counts 1"))),
              Problems))]
pub(super) async fn statistics(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Answer<impl IntoResponse> {
    let Query(wanted) = query.map_err(|error| Fault::invalid(error.to_string()))?;
    let taught = open::get(&app, &owner, &id).await?;
    let work = move |taught: &Taught| {
        let (encoder, sums) = taught.learner.with_store(|store| {
            let encoder = store.info().encoder.clone();
            let sums = store.statistics(wanted.empty(encoder.dimensions)?)?;
            Ok::<_, Fault>((encoder, sums))
        })?;
        let (statistics, told) = wanted.spend(sums)?;
        Ok((StatisticsFile { encoder, statistics }.to_bytes()?, told))
    };
    let (bytes, told) = taught.blocking(work).await?;
    Ok(file(format!("{id}.statistics"), told, bytes))
}

/// The learner itself, as it is at one moment: examples, their texts, and the history.
#[utoipa::path(get, path = "/v1/learners/{id}/export/learner", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    responses((status = 200, description = "A learner's file", body = Vec<u8>, content_type = "application/octet-stream"),
              Problems))]
pub(super) async fn learner(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
) -> Answer<impl IntoResponse> {
    let taught = open::get(&app, &owner, &id).await?;
    let work = |taught: &Taught| {
        let folder = tempfile::tempdir().map_err(Fault::internal)?;
        let path = folder.path().join("copy.learner");
        taught.learner.with_store(|store| store.copy_to(&path))?;
        let copy = std::fs::File::open(&path).map_err(Fault::internal)?;
        Ok((folder, copy))
    };
    let copy = taught.blocking(work).await?;
    // The copy may be larger than memory, and goes when it was sent or the client went away.
    let parts = stream::try_unfold(copy, |(folder, mut copy)| async move {
        let read = move || {
            let mut part = vec![0; PART];
            let n = copy.read(&mut part)?;
            part.truncate(n);
            Ok::<_, std::io::Error>((n > 0).then_some((Bytes::from(part), (folder, copy))))
        };
        tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)?
    });
    Ok(file(format!("{id}.learner"), None, Body::from_stream(parts)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = MergeRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    /// Other learners of the same key and encoder.
    #[serde(default)]
    with: Vec<String>,
    /// Files of statistics of the same encoder in base64, as `export/statistics` or
    /// `offshoot merge` made them.
    #[serde(default)]
    statistics: Vec<String>,
    head: Option<String>,
    /// Noise is added to the sums of these learners, so that no head is more than e^ε times as
    /// likely with any one example as without it. Each answer costs again.
    epsilon: Option<f64>,
    /// Probability with which that may fail to hold; 1e-6 where it is left out.
    delta: Option<f64>,
}

/// The head of the pooled examples of several learners and statistics, from their sums; with
/// `epsilon` a differentially private one.
#[utoipa::path(post, path = "/v1/learners/{id}/merge", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    request_body = Merge,
    responses((status = 200, description = "A head file", body = Vec<u8>, content_type = "application/octet-stream",
               headers(("privacy-epsilon" = f64, description = "ε that this answer spent"),
                       ("privacy-delta" = f64, description = "δ"),
                       ("privacy-rho" = f64, description = "ρ; of all answers they add up"),
                       ("privacy-deviation" = f64, description = "Of the noise; an example counts 1"))),
              Problems))]
pub(super) async fn merge(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    Json(request): Json<Merge>,
) -> Answer<impl IntoResponse> {
    let kind: HeadKind = request.head.as_deref().unwrap_or("discriminant").parse()?;
    let wanted = Wanted { epsilon: request.epsilon, delta: request.delta };
    if wanted.epsilon.is_some() && !request.statistics.is_empty() {
        return Err(Fault::invalid(
            "`epsilon` has to see the examples, and `statistics` hold none: leave one of them out, \
             and merge what each device made with `epsilon`",
        ));
    }
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
        // Learners are summed up on the grid of statistics, which cannot be changed any more.
        let mut sums = match uploaded(&request.statistics, &tag)? {
            Some(sums) => sums,
            None => wanted.empty(tag.dimensions)?,
        };
        for taught in std::iter::once(first).chain(others.iter().map(|taught| &**taught)) {
            check(&tag, &taught.learner.with_store(|store| store.info().encoder.clone()))?;
            sums = taught.learner.with_store(|store| store.statistics(sums))?;
        }
        let (sums, told) = wanted.spend(sums)?;
        let head = pooled_head(kind, &sums)?;
        let mut file = HeadFile::new(tag, head, &[]);
        let count = |&count: &u64| usize::try_from(count).unwrap_or(usize::MAX);
        file.examples = sums.counts().iter().map(count).collect();
        Ok((file.to_bytes()?, told))
    };
    let (bytes, told) = first.blocking(work).await?;
    Ok(file(format!("{id}-merged.head"), told, bytes))
}

/// The head that sums give.
fn pooled_head(kind: HeadKind, sums: &Statistics) -> Answer<Head> {
    let head = match kind {
        HeadKind::Discriminant => sums.discriminant(Shrinkage::default()),
        HeadKind::Ridge => sums.ridge(&Ridge::default()),
        HeadKind::NearestMean => sums.nearest_mean(),
        _ => {
            return Err(Fault::invalid(
                "a merged head is one of discriminant, ridge and nearest-mean",
            ));
        }
    };
    head.map_err(|error| match error {
        // Clipped sums are of unit length: what does not fit together is their noise.
        Error::Scale(_) if sums.clip().is_some() => Fault::new(
            Kind::Conflict,
            "the noise of `epsilon` drowns these sums and no covariance is left; merge more \
             examples, give a larger epsilon, or take the head nearest-mean",
        ),
        error => error.into(),
    })
}

/// Refuses what was embedded in another way.
fn check(ours: &EncoderTag, other: &EncoderTag) -> Answer<()> {
    let way = |tag: &EncoderTag| (tag.digest.clone(), tag.dimensions, tag.prompt.clone());
    if way(ours) == way(other) {
        return Ok(());
    }
    Err(Fault::new(
        Kind::Conflict,
        "only what was learned with the same encoder, dimensions and prompt can be merged",
    ))
}

/// Statistics that a client sent, pooled; none where it sent none.
fn uploaded(files: &[String], tag: &EncoderTag) -> Answer<Option<Statistics>> {
    let mut pooled: Option<Statistics> = None;
    for (i, file) in files.iter().enumerate() {
        let bytes = STANDARD
            .decode(file.trim())
            .map_err(|_| Fault::invalid(format!("statistics {i} are not in base64")))?;
        let file = StatisticsFile::from_bytes(&bytes)
            .map_err(|error| Fault::invalid(format!("file {i}: {error}")))?;
        check(tag, &file.encoder)?;
        match &mut pooled {
            Some(pooled) => pooled.merge(&file.statistics)?,
            None => pooled = Some(file.statistics),
        }
    }
    Ok(pooled)
}
