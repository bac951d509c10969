//! Learners: an encoder, labelled examples in a file, and the head that they give.
//!
//! - [`Learner`] joins the three: teach texts, predict texts.
//! - [`Store`] is the file, which needs no encoder: examples, history, forgetting.
//! - [`Uncertainty`] says which text is best labelled next, [`Suspects`] which label is best
//!   looked at again.

mod calibrate;
mod fit;
mod options;
mod privacy;
mod statistics;
mod store;
mod suggest;
mod suspects;
mod unlabelled;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ndarray::Array2;
use offshoot_adapters::semi_supervised::SemiSupervisedHead;
use offshoot_adapters::{Classes, EncoderTag, HeadFile, HeadKind, most_likely};

use crate::encoder::{EmbedOptions, Encoder};
use crate::error::{Error, Result};

pub use offshoot_adapters::selection::Uncertainty;
pub use options::{LearnerOptions, Lesson};
pub use privacy::{DEFAULT_DELTA, UNIT_CLIP, privatize};
pub use store::{
    Action, BUSY_TIMEOUT, Example, ExampleFilter, ExampleId, Examples, HISTORY_CHANGES,
    HISTORY_UPDATES, Labelled, MAX_SOURCE_BYTES, MAX_TEXT_BYTES, MAX_UNLABELLED, MAX_WEIGHT,
    MIN_WEIGHT, NewExample, Store, StoreInfo, Undone, label_problem,
};
pub use suggest::Suggestion;
pub use suspects::{SUSPECTS_FOLDS, SUSPECTS_LEAVE_ONE_OUT, Suspect, Suspects};

/// An encoder that is taught: examples go into a file as they come, and the head follows.
///
/// Every update is on disk when its call returns ([`Store`] says what is promised). The head is
/// fitted when it is next needed after an update, and kept in the file. May be used from
/// several threads at once, and the file by several processes.
///
/// ```no_run
/// use offshoot::{Encoder, Learner, LearnerOptions};
///
/// let encoder = Encoder::open("minilm.offshoot")?;
/// let learner = Learner::create("mail.learner", &encoder, &LearnerOptions::default())?;
/// learner.teach("the invoice is due on Friday", "work")?;
/// let mistake = learner.teach("win money now", "work")?;
/// learner.relabel(mistake, Some("spam"))?;
///
/// let prediction = learner.predict("your invoice")?;
/// println!("{} ({:.0} %)", prediction.label, 100.0 * prediction.probability);
///
/// learner.forget(&[mistake])?; // for ever, in every byte of the file
/// # Ok::<(), offshoot::Error>(())
/// ```
#[derive(Debug)]
pub struct Learner {
    encoder: Encoder,
    tag: EncoderTag,
    options: EmbedOptions,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    store: Store,
    /// The head of a revision.
    fitted: Option<(i64, Arc<HeadFile>)>,
    /// The same with the examples without a label, where they are used and there are any.
    pooled: Option<(i64, Option<Arc<SemiSupervisedHead>>)>,
}

/// What a learner says of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The most likely class.
    pub label: String,
    /// Its probability.
    pub probability: f64,
    /// Every class with its probability, in the order of the head's classes; they sum to 1.
    pub probabilities: Vec<(String, f64)>,
}

impl Learner {
    /// Makes an empty learner for an encoder.
    ///
    /// # Errors
    /// [`Error::Io`] when the file exists or cannot be written; [`Error::Argument`] for an
    /// unknown prompt or more dimensions than there are.
    pub fn create(
        path: impl AsRef<Path>,
        encoder: &Encoder,
        options: &LearnerOptions,
    ) -> Result<Self> {
        Self::of(Store::create(path, &options.info(encoder)?, [])?, encoder)
    }

    /// Makes a learner with its first examples: the file appears with all of them or not at
    /// all.
    ///
    /// # Errors
    /// As [`Self::create`] and [`Self::teach_many`].
    pub fn create_with(
        path: impl AsRef<Path>,
        encoder: &Encoder,
        options: &LearnerOptions,
        lessons: &[Lesson<'_>],
    ) -> Result<Self> {
        let info = options.info(encoder)?;
        let embedding = options::embed_options(&info.encoder, encoder);
        let examples = examples(encoder, &embedding, lessons)?;
        Self::of(Store::create(path, &info, examples)?, encoder)
    }

    /// Opens a learner with its encoder.
    ///
    /// # Errors
    /// [`Error::OtherEncoder`]; as [`Store::open`].
    pub fn open(path: impl AsRef<Path>, encoder: &Encoder) -> Result<Self> {
        Self::of(Store::open(path)?, encoder)
    }

    /// Joins an open store with its encoder.
    ///
    /// # Errors
    /// [`Error::OtherEncoder`]; [`Error::Store`] when it has more dimensions than the encoder.
    pub fn of(store: Store, encoder: &Encoder) -> Result<Self> {
        let tag = store.info().encoder.clone();
        let path = store.path().to_owned();
        if tag.digest != encoder.digest() {
            let (found, wanted) = (tag.digest, encoder.digest().to_owned());
            return Err(Error::OtherEncoder { path, encoder: tag.name, found, wanted });
        }
        if tag.dimensions > encoder.dimensions() {
            let reason = format!(
                "it has {} dimensions and its encoder {}",
                tag.dimensions,
                encoder.dimensions()
            );
            return Err(Error::Store { path, reason });
        }
        let options = options::embed_options(&tag, encoder);
        let state = Mutex::new(State { store, fitted: None, pooled: None });
        Ok(Self { encoder: encoder.clone(), tag, options, path, state })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its encoder.
    #[must_use]
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// How its texts are embedded; the same for all of them.
    #[must_use]
    pub fn embed_options(&self) -> &EmbedOptions {
        &self.options
    }

    /// Teaches a text and gives its number.
    ///
    /// # Errors
    /// Those of [`Encoder::embed`] and [`Store::teach`]. On an error nothing was taught.
    pub fn teach(&self, text: &str, label: &str) -> Result<ExampleId> {
        let ids = self.teach_many(&[Lesson::new(text, label)])?;
        ids.first().copied().ok_or_else(|| Error::Store {
            path: self.path.clone(),
            reason: "it gave an example no number".into(),
        })
    }

    /// Teaches texts in one update: all of them or none. Undone together.
    ///
    /// # Errors
    /// As [`Self::teach`].
    pub fn teach_many(&self, lessons: &[Lesson<'_>]) -> Result<Vec<ExampleId>> {
        let examples = examples(&self.encoder, &self.options, lessons)?;
        self.lock().store.teach_many(&examples)
    }

    /// Gives an example another label, or none.
    ///
    /// # Errors
    /// As [`Store::relabel`].
    pub fn relabel(&self, id: ExampleId, label: Option<&str>) -> Result<()> {
        self.lock().store.relabel(id, label)
    }

    /// Sets how much an example counts.
    ///
    /// # Errors
    /// As [`Store::set_weight`].
    pub fn set_weight(&self, id: ExampleId, weight: f64) -> Result<()> {
        self.lock().store.set_weight(id, weight)
    }

    /// Makes every example that is there count less: [`Store::age`].
    ///
    /// # Errors
    /// As [`Store::age`].
    pub fn age(&self, factor: f64) -> Result<usize> {
        self.lock().store.age(factor)
    }

    /// Forgets examples for ever: [`Store::forget`].
    ///
    /// # Errors
    /// As [`Store::forget`].
    pub fn forget(&self, ids: &[ExampleId]) -> Result<usize> {
        self.erase(|store| store.forget(ids))
    }

    /// Forgets a class with its examples: [`Store::forget_class`].
    ///
    /// # Errors
    /// As [`Store::forget_class`].
    pub fn forget_class(&self, label: &str) -> Result<usize> {
        self.erase(|store| store.forget_class(label))
    }

    /// Forgets the examples of a source: [`Store::forget_source`].
    ///
    /// # Errors
    /// As [`Store::forget_source`].
    pub fn forget_source(&self, source: &str) -> Result<usize> {
        self.erase(|store| store.forget_source(source))
    }

    /// Takes back the last update: [`Store::undo`].
    ///
    /// # Errors
    /// As [`Store::undo`]; [`Error::Forgotten`] when it was a `forget`.
    pub fn undo(&self) -> Result<Undone> {
        self.erase(|store| store.undo(false))
    }

    /// Chooses another kind of head.
    ///
    /// # Errors
    /// As [`Store::set_head`].
    pub fn set_head(&self, kind: HeadKind) -> Result<()> {
        self.lock().store.set_head(kind.name())
    }

    /// Every example.
    ///
    /// # Errors
    /// [`Error::Store`] when one is damaged; [`Error::Io`], [`Error::Busy`].
    pub fn examples(&self) -> Result<Vec<Example>> {
        self.lock().store.examples(&ExampleFilter::default()).collect()
    }

    /// Works with the store; other threads wait.
    pub fn with_store<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        work(&mut self.lock().store)
    }

    /// The head of the examples as they are now: from memory, from the file, or fitted.
    ///
    /// # Errors
    /// [`Error::Head`] when there are no examples, when all have one label, or when the fit
    /// fails; [`Error::Weights`]; [`Error::Store`], [`Error::Io`], [`Error::Busy`].
    pub fn head(&self) -> Result<Arc<HeadFile>> {
        let State { store, fitted, .. } = &mut *self.lock();
        let revision = store.revision()?;
        if let Some((of, head)) = fitted
            && *of == revision
        {
            return Ok(head.clone());
        }
        *fitted = None;
        // A kept head that cannot be read, or is of a later program, is fitted anew.
        let kept = store.kept_head(revision)?.and_then(|bytes| HeadFile::from_bytes(&bytes).ok());
        let (revision, head) = match kept.filter(|head| head.encoder == self.tag) {
            Some(head) => (revision, head),
            None => {
                let examples = store.labelled()?;
                let head = fit::fit(&examples, &self.tag)?;
                match store.keep_head(examples.revision, &head.to_bytes()?) {
                    Err(error) if !store::may_be_ignored(&error) => return Err(error),
                    _ => (examples.revision, head),
                }
            }
        };
        let head = Arc::new(head);
        *fitted = Some((revision, head.clone()));
        Ok(head)
    }

    /// The class of a text.
    ///
    /// # Errors
    /// Those of [`Encoder::embed`] and [`Self::head`].
    pub fn predict(&self, text: &str) -> Result<Prediction> {
        let mut predictions = self.predict_many(&[text])?;
        predictions.pop().ok_or_else(|| Error::Argument("there is no prediction".into()))
    }

    /// The class of each text.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn predict_many(&self, texts: &[impl AsRef<str> + Sync]) -> Result<Vec<Prediction>> {
        let Judged { classes, probabilities, .. } = self.judge(texts)?;
        Ok(probabilities.outer_iter().map(|row| prediction(&classes, row)).collect())
    }

    fn judge(&self, texts: &[impl AsRef<str> + Sync]) -> Result<Judged> {
        // Before the slow part, so that a learner without a head says so at once.
        self.head()?;
        let embeddings = self.encoder.embed_with(texts, &self.options)?.into_vectors();
        let (classes, probabilities) = self.predict_proba(embeddings.view())?;
        Ok(Judged { classes, embeddings, probabilities })
    }

    /// An update that removes examples, and the head in memory with them.
    fn erase<T>(&self, work: impl FnOnce(&mut Store) -> Result<T>) -> Result<T> {
        let State { store, fitted, pooled } = &mut *self.lock();
        (*fitted, *pooled) = (None, None);
        work(store)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave a transaction half done: it is rolled back.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn examples(
    encoder: &Encoder,
    options: &EmbedOptions,
    lessons: &[Lesson<'_>],
) -> Result<Vec<NewExample>> {
    let texts: Vec<&str> = lessons.iter().map(|lesson| lesson.text).collect();
    let embeddings = encoder.embed_with(&texts, options)?;
    let vectors = embeddings.into_vectors();
    let rows = vectors.outer_iter();
    let now = SystemTime::now();
    Ok(lessons.iter().zip(rows).map(|(lesson, row)| lesson.example(row.to_vec(), now)).collect())
}

/// What a head says of texts.
struct Judged {
    classes: Classes,
    /// `[texts, dimensions]`.
    embeddings: Array2<f32>,
    /// `[texts, classes]`.
    probabilities: Array2<f64>,
}

fn prediction(classes: &Classes, probabilities: ndarray::ArrayView1<'_, f64>) -> Prediction {
    let (class, probability) = most_likely(probabilities);
    let label = classes.name(class).to_owned();
    let names = classes.names().iter().cloned();
    let probabilities = names.zip(probabilities.iter().copied()).collect();
    Prediction { label, probability, probabilities }
}
