//! Which optimizer a run is trained with.

use offshoot_export::training::optimizers::{AdamW, Lamb, Lars, Optimizer, Sgd};

/// An optimizer of a run, with settings that suit pretraining.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay.
    #[default]
    AdamW,
    /// Gradient descent with Nesterov's momentum of 0.9. Keeps half as much as [`Self::AdamW`].
    Sgd,
    /// Momentum with a rate of its own for each matrix, for large batches; keeps as much as
    /// [`Self::Sgd`]. Biases and normalisations have the plain rate.
    Lars,
    /// The step of Adam, scaled to each tensor's norm, for large batches.
    Lamb,
}

impl OptimizerKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AdamW, Self::Sgd, Self::Lars, Self::Lamb];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AdamW => "adamw",
            Self::Sgd => "sgd",
            Self::Lars => "lars",
            Self::Lamb => "lamb",
        }
    }

    /// A learning rate to begin with. LARS multiplies its own by 0.001 times the norm of the
    /// weights.
    pub fn usual_rate(self) -> f32 {
        match self {
            Self::AdamW => 1e-3,
            Self::Sgd => 0.05,
            Self::Lars => 1.0,
            Self::Lamb => 3e-3,
        }
    }

    pub(super) fn with_decay(self, weight_decay: f64) -> Box<dyn Optimizer> {
        let adam = AdamW { weight_decay, ..AdamW::default() };
        match self {
            Self::AdamW => Box::new(adam),
            Self::Sgd => Box::new(Sgd { momentum: 0.9, nesterov: true, weight_decay }),
            Self::Lars => {
                Box::new(Lars { momentum: 0.9, trust: 1e-3, weight_decay, adapts_all: false })
            }
            Self::Lamb => Box::new(Lamb { adam }),
        }
    }
}
