//! Learners over HTTP. Each belongs to the key that made it; to others it is not there.

mod answers;
mod examples;
mod input;
mod open;
mod predict;
mod privacy;
mod share;
mod update;
mod upload;

use std::collections::HashMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Extension, Json};
use offshoot::{LearnerOptions, Prompt};
use offshoot_adapters::HeadKind;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Body;
use crate::auth::Owner;
use crate::error::{Error, Result};
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::Problems;
use crate::server::App;
use answers::{ClassCount, LearnerInfo, Listed};
pub(crate) use open::Taught;
pub(super) use predict::classify;
pub(crate) use privacy::HEADERS as PRIVACY;

/// Most characters of a learner's name.
const NAME: usize = 64;

/// The learners that are open.
#[derive(Debug)]
pub(crate) struct Learners {
    folder: PathBuf,
    open: Mutex<HashMap<PathBuf, Arc<Taught>>>,
}

impl Learners {
    pub(crate) fn new(folder: &FilePath) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder.display()))?;
        upload::remove_left(folder);
        Ok(Self { folder: folder.to_owned(), open: Mutex::default() })
    }

    fn file(&self, owner: &Owner, id: &str) -> Answer<PathBuf> {
        let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if id.is_empty() || id.len() > NAME || !id.chars().all(fit) {
            return Err(Fault::invalid(format!(
                "a learner's id has 1 to {NAME} of the characters a-z, 0-9, - and _"
            )));
        }
        Ok(self.folder.join(&owner.0).join(format!("{id}.learner")))
    }

    fn kept(&self, path: &FilePath) -> Option<Arc<Taught>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn keep(&self, path: PathBuf, taught: Arc<Taught>) -> Arc<Taught> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.entry(path).or_insert(taught).clone()
    }

    fn let_go(&self, path: &FilePath) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(one, delete))
        .routes(routes!(update::teach))
        .routes(routes!(update::relabel))
        .routes(routes!(update::weigh))
        .routes(routes!(update::forget))
        .routes(routes!(update::undo))
        .routes(routes!(predict::predict))
        .routes(routes!(predict::evaluate))
        .routes(routes!(predict::suggest))
        .routes(routes!(predict::suspects))
        .routes(routes!(examples::examples))
        .routes(routes!(share::merge))
        .routes(routes!(share::head))
        .routes(routes!(share::onnx))
        .routes(routes!(share::statistics))
        .routes(routes!(share::learner))
        .routes(routes!(upload::import))
}

/// The id in an address.
struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|error| Fault::invalid(error.body_text()))
    }
}

/// What a new learner is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLearner)]
struct Create {
    id: String,
    model: Option<String>,
    head: Option<String>,
    prompt: Option<String>,
    dimensions: Option<usize>,
    keep_text: Option<bool>,
}

/// Makes a learner.
#[utoipa::path(post, path = "/v1/learners", tag = "learners",
    request_body = Create,
    responses((status = 201, description = "The new learner", body = LearnerInfo), Problems))]
async fn create(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Body(request): Body<Create>,
) -> Answer<(StatusCode, Json<LearnerInfo>)> {
    let path = app.learners.file(&owner, &request.id)?;
    let model = app.bundles.get(request.model.as_deref())?;
    let head: HeadKind = request.head.as_deref().unwrap_or("auto").parse()?;
    let dimensions = model.dimensions(request.dimensions)?;
    let options = LearnerOptions {
        head,
        prompt: request.prompt.map_or(Prompt::Default, Prompt::Named),
        dimensions: std::num::NonZeroUsize::new(dimensions)
            .filter(|_| dimensions != model.manifest.embedding_size),
        keep_text: request.keep_text.unwrap_or(true),
    };
    let taught = open::create(&model, path.clone(), options).await?;
    let taught = app.learners.keep(path, Arc::new(taught));
    Ok((StatusCode::CREATED, Json(described(&request.id, taught).await?)))
}

/// A learner's row of the list.
async fn described(id: &str, taught: Arc<Taught>) -> Answer<LearnerInfo> {
    let id = id.to_owned();
    taught
        .blocking(move |taught| {
            let learner = &taught.learner;
            let (info, labels, revision) = learner.with_store(|store| {
                Ok::<_, offshoot::Error>((store.info().clone(), store.labels()?, store.revision()?))
            })?;
            let count = |with: bool| -> u64 {
                labels.iter().filter(|(l, _)| l.is_some() == with).map(|(_, n)| n).sum()
            };
            let (examples, unlabelled) = (count(true), count(false));
            let class = |(label, examples): (Option<String>, u64)| {
                Some(ClassCount { label: label?, examples })
            };
            Ok(LearnerInfo {
                id,
                model: taught.model.name.clone(),
                reads: taught.model.manifest.modality.name(),
                head: info.head.to_string(),
                dimensions: info.encoder.dimensions,
                prompt: info.encoder.prompt,
                keeps_text: info.keeps_text,
                encoder_digest: info.encoder.digest,
                revision,
                classes: labels.into_iter().filter_map(class).collect(),
                examples,
                unlabelled,
            })
        })
        .await
}

/// The ids of an owner's learners, sorted.
async fn ids(app: &App, owner: &Owner) -> Answer<Vec<String>> {
    let folder = app.learners.folder.join(&owner.0);
    tokio::task::spawn_blocking(move || {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            Some(entry.ok()?.file_name().to_str()?.strip_suffix(".learner")?.to_owned())
        };
        let mut ids: Vec<String> = entries.filter_map(name).collect();
        ids.sort();
        ids
    })
    .await
    .map_err(Fault::internal)
}

/// The learners of this key.
#[utoipa::path(get, path = "/v1/learners", tag = "learners",
    responses((status = 200, description = "All, by id", body = answers::Learners), Problems))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
) -> Answer<Json<answers::Learners>> {
    let ids = ids(&app, &owner).await?;
    let mut learners = Vec::with_capacity(ids.len());
    for id in ids {
        // One that cannot be used does not hide the others.
        let found = match open::get(&app, &owner, &id).await {
            Ok(taught) => described(&id, taught).await,
            Err(fault) => Err(fault),
        };
        learners.push(match found {
            Ok(learner) => Listed::Usable(learner),
            Err(fault) => Listed::Unusable { id, problem: fault.message },
        });
    }
    Ok(Json(answers::Learners { learners }))
}

/// A learner.
#[utoipa::path(get, path = "/v1/learners/{id}", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    responses((status = 200, description = "The learner", body = LearnerInfo), Problems))]
async fn one(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
) -> Answer<Json<LearnerInfo>> {
    Ok(Json(described(&id, open::get(&app, &owner, &id).await?).await?))
}

/// Deletes a learner for good.
#[utoipa::path(delete, path = "/v1/learners/{id}", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    responses((status = 204, description = "It is gone"), Problems))]
async fn delete(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
) -> Answer<StatusCode> {
    let path = app.learners.file(&owner, &id)?;
    app.learners.let_go(&path);
    tokio::task::spawn_blocking(move || match std::fs::remove_file(&path) {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(open::missing(&id)),
        Err(error) => Err(Fault::internal(error)),
    })
    .await
    .map_err(Fault::internal)?
}

/// The id of a learner that is not there.
fn not_there(message: String) -> Fault {
    Fault::new(Kind::NotFound, message)
}
