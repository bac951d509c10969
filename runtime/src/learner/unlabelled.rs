//! Examples without a label, which show where the crowds are that labels name.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use offshoot_adapters::Classes;
use offshoot_adapters::semi_supervised::{SemiSupervised, SemiSupervisedHead};

use super::store::ExampleId;
use super::{Learner, Lesson, State, fit};
use crate::error::Result;

impl Learner {
    /// Keeps texts without a label: lessons whose label is none. Undone together, and forgotten
    /// by their numbers or their source.
    ///
    /// # Errors
    /// As [`Self::teach`].
    pub fn observe(&self, texts: &[&str], source: Option<&str>) -> Result<Vec<ExampleId>> {
        let lessons: Vec<Lesson<'_>> = texts
            .iter()
            .map(|text| Lesson { label: None, source, ..Lesson::new(text, "") })
            .collect();
        self.teach_many(&lessons)
    }

    /// Whether examples without a label help to predict.
    ///
    /// # Errors
    /// As [`Store::uses_unlabelled`](super::Store::uses_unlabelled).
    pub fn uses_unlabelled(&self) -> Result<bool> {
        self.lock().store.uses_unlabelled()
    }

    /// Lets examples without a label, the latest [`MAX_UNLABELLED`](super::MAX_UNLABELLED),
    /// help to predict, or not; kept in the file.
    ///
    /// What the learner's head says is then smoothed over a graph of all embeddings:
    /// [`SemiSupervised`], which helps where labels are few. The head itself, what it is
    /// exported and fused as, [`Self::suspects`] and [`Self::calibration`] stay those of the
    /// labels alone.
    ///
    /// # Errors
    /// As [`Store::set_uses_unlabelled`](super::Store::set_uses_unlabelled).
    pub fn set_uses_unlabelled(&self, uses: bool) -> Result<()> {
        self.lock().store.set_uses_unlabelled(uses)
    }

    /// The classes, and their probabilities `[examples, classes]` for embeddings that this
    /// learner's encoder made: what [`Self::predict_many`] says of their texts.
    ///
    /// # Errors
    /// As [`Self::head`]; [`Error::Head`](crate::Error::Head) for embeddings of another width.
    pub fn predict_proba(&self, x: ArrayView2<'_, f32>) -> Result<(Classes, Array2<f64>)> {
        Ok(match self.semi_supervised()? {
            Some(head) => (head.classes().clone(), head.predict_proba(x)?),
            None => {
                let file = self.head()?;
                (file.head.classes().clone(), file.head.predict_proba(x)?)
            }
        })
    }

    /// The head with the examples without a label, where they are used and there are any: from
    /// memory or fitted. It is never in the file.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub fn semi_supervised(&self) -> Result<Option<Arc<SemiSupervisedHead>>> {
        let State { store, pooled, .. } = &mut *self.lock();
        let revision = store.revision()?;
        if let Some((of, head)) = pooled
            && *of == revision
        {
            return Ok(head.clone());
        }
        if !store.uses_unlabelled()? {
            // Told before any example is read: most learners keep a head and need none.
            *pooled = Some((revision, None));
            return Ok(None);
        }
        *pooled = None;
        let (examples, pool) = store.pool()?;
        let head = match pool {
            None => None,
            Some(pool) => {
                let base = fit::fit(&examples, &self.tag)?.head;
                let (_, y) = examples.classes()?;
                let x = examples.embeddings.view();
                let head = SemiSupervised::default().fit_from(base, x, &y, pool.view())?;
                Some(Arc::new(head))
            }
        };
        *pooled = Some((examples.revision, head.clone()));
        Ok(head)
    }
}
