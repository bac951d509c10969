//! A learner's file, open with its encoder.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use offshoot::learner::Store;
use offshoot::{Learner, LearnerOptions};
use offshoot_adapters::Classes;
use offshoot_adapters::conformal::{Conformal, ConformalPredictor};
use offshoot_adapters::open_set::OpenSet;

use super::upload;
use crate::auth::Owner;
use crate::bundles::Model;
use crate::fault::{Answer, Fault};
use crate::server::App;

/// An open learner.
#[derive(Debug)]
pub(crate) struct Taught {
    pub(super) learner: Learner,
    pub(super) model: Arc<Model>,
    caution: Mutex<Option<(i64, Arc<Caution>)>>,
}

/// What examples of a revision say besides a class.
#[derive(Debug)]
pub(super) struct Caution {
    pub(super) sets: ConformalPredictor,
    pub(super) open: OpenSet,
}

impl Taught {
    pub(super) fn of(learner: Learner, model: Arc<Model>) -> Self {
        Self { learner, model, caution: Mutex::default() }
    }

    /// Work with the learner on a thread that may block.
    pub(super) async fn blocking<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        tokio::task::spawn_blocking(move || work(&self)).await.map_err(Fault::internal)?
    }

    /// Conformal sets and the gate for unknown inputs, fitted once a revision. Blocks.
    pub(super) fn caution(&self) -> Answer<Arc<Caution>> {
        let mut kept = self.caution.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = self.learner.with_store(|store| store.revision())?;
        if let Some((of, caution)) = &*kept
            && *of == revision
        {
            return Ok(caution.clone());
        }
        *kept = None;
        let examples = self.learner.with_store(|store| store.labelled())?;
        let (classes, y) = Classes::from_labels(&examples.labels)?;
        let x = examples.embeddings.view();
        let sets = Conformal::default().fit(x, &y, classes.clone())?;
        let open = OpenSet::fit(x, &y, &classes, None)?;
        let caution = Arc::new(Caution { sets, open });
        *kept = Some((examples.revision, caution.clone()));
        Ok(caution)
    }

    /// Forgets what was fitted on examples that are to be forgotten.
    pub(super) fn drop_caution(&self) {
        *self.caution.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Makes the file of a new learner.
pub(super) async fn create(
    model: &Arc<Model>,
    path: PathBuf,
    options: LearnerOptions,
) -> Answer<Taught> {
    let of = model.clone();
    let make = move |encoder: &offshoot::Encoder| {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Fault::internal)?;
        }
        let learner = Learner::create(&path, encoder, &options).map_err(|error| match &error {
            offshoot::Error::Io { source, .. }
                if source.kind() == std::io::ErrorKind::AlreadyExists =>
            {
                upload::taken()
            }
            _ => error.into(),
        })?;
        Ok(Taught::of(learner, of))
    };
    model.blocking(make).await
}

/// The learner of an owner.
pub(super) async fn get(app: &App, owner: &Owner, id: &str) -> Answer<Arc<Taught>> {
    let path = app.learners.file(owner, id)?;
    if let Some(taught) = app.learners.kept(&path) {
        // After a bundle was replaced its learners are those of another encoder.
        if app.bundles.of_digest(&taught.model.digest).is_ok() {
            return Ok(taught);
        }
        app.learners.let_go(&path);
    }
    let (file, id) = (path.clone(), id.to_owned());
    let opening = move || match file.try_exists() {
        Ok(true) => Store::open(&file).map_err(Fault::from),
        _ => Err(missing(&id)),
    };
    let store = tokio::task::spawn_blocking(opening).await.map_err(Fault::internal)??;
    let model = app.bundles.of_digest(&store.info().encoder.digest)?;
    let learner = Learner::of(store, &model.encoder().await?)?;
    Ok(app.learners.keep(path, Arc::new(Taught::of(learner, model))))
}

pub(super) fn missing(id: &str) -> Fault {
    super::not_there(format!("there is no learner {id:?}; `GET /v1/learners` lists yours"))
}
