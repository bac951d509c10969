//! What a run tells people as it goes.

use offshoot_models::pretrain::{Event, Prediction, Quality, StepRecord};

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
            Event::Stops { step, kept } => progress::say(&format!(
                "the loss of held-out examples was lowest after {} steps and has not fallen \
                 since: the run ends after {}, and the weights of step {} are kept",
                grouped(kept),
                grouped(step),
                grouped(kept)
            )),
        }
    }

    fn step(&mut self, record: &StepRecord, examples_per_second: f64) {
        let Some(bar) = &mut self.bar else { return };
        bar.set(record.step);
        if let Some(quality) = &record.quality {
            bar.note(&format!(
                "step {}: loss {:.4}{}, {:.0} examples/s, {}",
                grouped(record.step),
                record.loss,
                record
                    .held_out_loss
                    .map_or_else(String::new, |loss| format!(", held out {loss:.4}")),
                examples_per_second,
                figures(quality, record.prediction.as_ref())
            ));
        }
    }
}

pub(super) fn figures(quality: &Quality, prediction: Option<&Prediction>) -> String {
    let neighbors = quality.nearest_neighbors.map_or_else(String::new, |accuracy| {
        format!(", {:.1} % of nearest neighbours right", 100.0 * accuracy)
    });
    let prediction = prediction.map_or_else(String::new, |prediction| {
        format!(
            ", perplexity {:.2} (of unigrams {:.2}, of trigrams {:.2})",
            prediction.perplexity, prediction.unigram, prediction.trigram
        )
    });
    format!(
        "effective rank {:.1}, uniformity {:.2}{neighbors}{prediction}",
        quality.effective_rank, quality.uniformity
    )
}
