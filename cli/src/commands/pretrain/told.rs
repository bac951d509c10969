//! What a run tells people as it goes.

use offshoot_models::pretrain::{Event, Quality, StepRecord};

use crate::progress::{self, Progress, Unit, grouped};

/// What was told so far.
#[derive(Default)]
pub(super) struct Told {
    pub(super) bar: Option<Progress>,
    collapsed: bool,
}

impl Told {
    pub(super) fn tell(&mut self, event: Event) {
        match event {
            Event::Begins { family, parameters, steps, done, examples } => {
                let again = match done {
                    0 => String::new(),
                    done => format!(", going on after {}", grouped(done)),
                };
                progress::say(&format!(
                    "{family} of {} weights, {} examples, {} steps{again}",
                    grouped(parameters),
                    grouped(examples as u64),
                    grouped(steps)
                ));
                self.bar = Some(Progress::start("Pretraining", Unit::Count("steps"), Some(steps)));
            }
            Event::Step { record, examples_per_second } => self.step(&record, examples_per_second),
            Event::Collapse { step, reason } => {
                if !self.collapsed {
                    progress::say(&format!(
                        "warning: at step {} the embeddings have collapsed: {reason}; stop the \
                         run, and try a lower learning rate, a larger batch or another objective",
                        grouped(step)
                    ));
                }
                self.collapsed = true;
            }
        }
    }

    fn step(&mut self, record: &StepRecord, examples_per_second: f64) {
        let Some(bar) = &mut self.bar else { return };
        bar.set(record.step);
        if let Some(quality) = &record.quality {
            bar.note(&format!(
                "step {}: loss {:.4}, {:.0} examples/s, {}",
                grouped(record.step),
                record.loss,
                examples_per_second,
                figures(quality)
            ));
        }
    }
}

pub(super) fn figures(quality: &Quality) -> String {
    let neighbors = quality.nearest_neighbors.map_or_else(String::new, |accuracy| {
        format!(", {:.1} % of nearest neighbours right", 100.0 * accuracy)
    });
    format!(
        "effective rank {:.1}, uniformity {:.2}{neighbors}",
        quality.effective_rank, quality.uniformity
    )
}
