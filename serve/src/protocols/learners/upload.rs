//! A learner that was taught elsewhere: its file is received, checked, and taken in.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use futures_util::StreamExt;
use offshoot::Learner;
use offshoot::learner::Store;
use offshoot_adapters::HeadKind;
use tempfile::TempDir;

use super::answers::LearnerInfo;
use super::share::PART;
use super::{Id, Taught, described};
use crate::auth::Owner;
use crate::bundles::Model;
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::Problems;
use crate::protocols::body::broken;
use crate::server::App;

const TYPE: &str = "application/octet-stream";
/// How folders begin in which files are received.
const WORK: &str = ".upload-";
/// What is older was left by a process that ended: no request takes as long.
const LEFT: Duration = Duration::from_secs(2 * 86_400);

/// Makes a learner of the file of another one, which `export/learner` gave or a device keeps:
/// its examples, their texts, and the history. It is checked from its first to its last byte, and
/// its encoder has to be served here.
#[utoipa::path(post, path = "/v1/learners/{id}/import", tag = "learners",
    params(("id" = String, Path, description = "The new learner's id")),
    request_body(content = Vec<u8>, content_type = TYPE, description = "A learner's file"),
    responses((status = 201, description = "The new learner", body = LearnerInfo), Problems))]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<LearnerInfo>)> {
    let path = app.learners.file(&owner, &id)?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::CONTENT_TYPE) != Some(TYPE) {
        return Err(Fault::new(Kind::MediaType, format!("send the learner's file as {TYPE}")));
    }
    let most = app.config.max_learner_bytes;
    // What is unpacked is counted as it comes.
    let told = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if told.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let (target, folder) = (path.clone(), app.learners.folder.clone());
    let work = blocking(move || match target.try_exists() {
        Ok(true) => Err(taken()),
        _ => tempfile::Builder::new().prefix(WORK).tempdir_in(folder).map_err(unwritten),
    });
    let work = work.await?;
    let received = receive(body, &work, most).await?;
    let store = blocking(move || {
        let store = Store::open(received).map_err(unfit)?;
        store.check().map_err(unfit)?;
        Ok(store)
    });
    let store = store.await?;
    let model = app.bundles.of_digest(&store.info().encoder.digest)?;
    fits(&store, &model)?;
    let encoder = model.encoder().await?;
    let (of, target) = (model.clone(), path.clone());
    let taught = blocking(move || {
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(unwritten)?;
        }
        let store = store.move_to(&target).map_err(unfit)?;
        Ok(Taught::of(Learner::of(store, &encoder)?, of))
    });
    let taught = app.learners.keep(path, Arc::new(taught.await?));
    drop(work);
    Ok((StatusCode::CREATED, Json(described(&id, taught).await?)))
}

/// Writes a body to a file of this folder as it comes.
async fn receive(body: Body, work: &TempDir, most: u64) -> Answer<PathBuf> {
    let path = work.path().join("received.learner");
    let name = path.clone();
    let mut file = blocking(move || File::create_new(name).map_err(unwritten)).await?;
    let mut body = body.into_data_stream();
    let (mut part, mut total) = (Vec::new(), 0u64);
    loop {
        let next = body.next().await.transpose().map_err(|error| broken(&error))?;
        let over = next.is_none();
        if let Some(bytes) = next {
            total = total.saturating_add(bytes.len() as u64);
            if total > most {
                return Err(too_large(most));
            }
            part.extend_from_slice(&bytes);
        }
        if over || part.len() >= PART {
            let write = move || {
                file.write_all(&part).map_err(unwritten)?;
                part.clear();
                Ok((file, part))
            };
            (file, part) = blocking(write).await?;
        }
        if over {
            return Ok(path);
        }
    }
}

/// Refuses what the encoder could not be used with.
fn fits(store: &Store, model: &Model) -> Answer<()> {
    let info = store.info();
    info.head.parse::<HeadKind>()?;
    let (found, width) = (info.encoder.dimensions, model.manifest.embedding_size);
    if found > width {
        return Err(Fault::invalid(format!(
            "the learner has {found} dimensions and its encoder {width}"
        )));
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Answer<T> + Send + 'static,
) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
}

fn too_large(most: u64) -> Fault {
    Fault::new(
        Kind::TooLarge,
        format!("the learner's file may have {most} bytes (--max-learner-bytes of the service)"),
    )
}

pub(super) fn taken() -> Fault {
    Fault::new(Kind::Conflict, "there is a learner of this id already")
}

fn unwritten(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Fault::new(Kind::Unavailable, "the service has no space left; nothing was kept")
        }
        _ => Fault::internal(error),
    }
}

/// What is wrong with a file, without its name, which no client knows.
fn unfit(error: offshoot::Error) -> Fault {
    use offshoot::Error as E;
    match error {
        E::Store { reason, .. } => {
            Fault::invalid(format!("what was sent is not a usable learner: {reason}"))
        }
        E::NewerStore { found, supported, .. } => Fault::invalid(format!(
            "the learner is of version {found} and this service reads up to {supported}: update it"
        )),
        E::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => taken(),
        E::Io { source, .. } => unwritten(source),
        other => other.into(),
    }
}

/// Removes what was received for requests that a process did not live to answer.
pub(super) fn remove_left(folder: &FilePath) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(WORK));
        let age = || entry.metadata().and_then(|found| found.modified()).ok()?.elapsed().ok();
        if ours && age().is_some_and(|age| age > LEFT) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_waits_for_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".upload-old", ".upload-new", "old"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("received.learner"), "x").unwrap();
        }
        let long_ago = std::time::SystemTime::now() - 2 * LEFT;
        for name in [".upload-old", "old"] {
            let place = File::open(folder.path().join(name)).unwrap();
            place.set_times(std::fs::FileTimes::new().set_modified(long_ago)).unwrap();
        }
        remove_left(folder.path());
        let left = |name: &str| folder.path().join(name).exists();
        assert_eq!([left(".upload-old"), left(".upload-new"), left("old")], [false, true, true]);
    }
}
