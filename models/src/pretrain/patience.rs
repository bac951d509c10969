//! The end of a run that has nothing more to learn: early stopping (Prechelt, 1998, "Early
//! stopping, but when?", the criterion UP with steps in place of strips).

use super::record::held_out_losses;
use super::run_folder::RunFolder;
use crate::error::{Error, Result};

/// The lowest loss of held-out examples so far. It is a function of the record, so that a run
/// which goes on knows what the one before it did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Patience {
    /// Figures in a row that may be no lower.
    patience: u64,
    /// The step of the lowest loss, and the loss.
    best: Option<(u64, f32)>,
    /// Figures since then.
    since: u64,
}

impl Patience {
    pub(super) fn new(patience: u64) -> Self {
        Self { patience, best: None, since: 0 }
    }

    /// What a run knew after `done` steps; its best state is there.
    pub(super) fn resumed(patience: u64, folder: &RunFolder, done: u64) -> Result<Self> {
        let mut found = Self::new(patience);
        for (step, loss) in held_out_losses(folder.path(), done)? {
            found.see(step, loss);
        }
        match found.kept() {
            // It ended between two files: the checkpoint is the best state.
            Some(step) if step == done => folder.keep_best()?,
            Some(_) if !folder.best().is_file() => {
                return Err(Error::Pretrain(format!(
                    "{} is missing; remove the folder {} to begin again",
                    folder.best().display(),
                    folder.path().display()
                )));
            }
            _ => {}
        }
        Ok(found)
    }

    /// Takes the loss after a step; whether it is the lowest so far.
    pub(super) fn see(&mut self, step: u64, loss: f32) -> bool {
        let lower = self.best.is_none_or(|(_, best)| loss < best);
        if lower {
            (self.best, self.since) = (Some((step, loss)), 0);
        } else {
            self.since += 1;
        }
        lower
    }

    /// Whether the run ends.
    pub(super) fn is_over(&self) -> bool {
        self.since >= self.patience
    }

    /// The step with the lowest loss.
    pub(super) fn kept(&self) -> Option<u64> {
        self.best.map(|(step, _)| step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_after_as_many_figures_without_a_lower_one() {
        let mut patience = Patience::new(2);
        let losses = [3.0, 2.0, 2.0, 1.5, 1.6, 1.5];
        let lower: Vec<bool> = (1..).zip(losses).map(|(at, loss)| patience.see(at, loss)).collect();
        assert_eq!(lower, [true, true, false, true, false, false]);
        assert!(patience.is_over());
        assert_eq!(patience.kept(), Some(4));

        let mut one = Patience::new(1);
        assert!(one.see(10, 1.0) && !one.is_over() && one.see(20, 0.5) && !one.is_over());
        assert!(!one.see(30, 0.6) && one.is_over());
    }
}
