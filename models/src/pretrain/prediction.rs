//! How well held-out tokens are predicted, beside what counting tokens predicts of them.

use std::collections::BTreeSet;

use offshoot::Trainer;

use super::held_out::HeldOut;
use super::loader::Maker;
use super::ngrams::{self, Ngrams, Trigram};
use super::options::PretrainOptions;
use super::{program, step};
use crate::data::Permutation;
use crate::error::Result;
use crate::objectives::{Asked, Draw, Feed, Predictor, Rows};

/// Tokens that are counted at most.
const COUNTED: usize = 4_000_000;
/// Examples that are read at once to count their tokens.
const READ: usize = 256;

/// How well tokens of held-out examples are predicted: perplexities, `exp` of the mean negative
/// log-likelihood of a token, the lower the better. All are of the same tokens: of an objective
/// that hides tokens a share of them, each behind the mask token; of one that reads forwards all
/// but the first. Special tokens are not asked for.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// Perplexity of the objective's own probabilities.
    pub perplexity: f64,
    /// That of the tokens' frequency in the examples learned from, smoothed by one.
    pub unigram: f64,
    /// That of interpolated trigrams of Kneser and Ney (1995) of the examples learned from, which
    /// see the two tokens before. At most four million tokens are counted.
    pub trigram: f64,
    /// Number of tokens that were asked for.
    pub tokens: u64,
}

/// Held-out tokens that are asked for, always the same.
#[derive(Debug)]
pub(super) struct Questions {
    /// What the procedure is fed, and how many tokens that asks for.
    parts: Vec<(Feed, usize)>,
    /// With nothing learned yet.
    counting: Prediction,
}

/// The first objective that predicts tokens.
pub(super) fn predictor(options: &PretrainOptions) -> Option<&dyn Predictor> {
    options.objectives.iter().find_map(|o| o.objective.predictor())
}

impl Questions {
    /// Chooses the tokens, and counts those of the examples learned from. `None` where no
    /// objective predicts tokens, or there is none to ask for.
    pub(super) fn of(
        options: &PretrainOptions,
        maker: &Maker,
        held_out: &HeldOut,
    ) -> Result<Option<Self>> {
        let Some(predictor) = predictor(options) else { return Ok(None) };
        let (mut parts, mut wanted) = (Vec::new(), Vec::new());
        for (number, batch) in held_out.parts(maker.batch)?.into_iter().enumerate() {
            let draw = Draw { seed: options.seed, step: number as u64, purpose: "held-out tokens" };
            let Asked { feed, rows, places } = predictor.asks(&batch, &maker.preparation, &draw)?;
            let asked = places
                .iter()
                .filter_map(|&[row, place]| rows.get(row).map(|row| ngrams::trigram(row, place)));
            wanted.extend(asked);
            if !places.is_empty() {
                parts.push((feed, places.len()));
            }
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        let model = counted(options.seed, maker)?;
        let counting = Prediction {
            perplexity: f64::NAN,
            unigram: ngrams::perplexity(wanted.iter().map(|&t| model.unigram(t))),
            trigram: ngrams::perplexity(wanted.iter().map(|&t| model.probability(t))),
            tokens: wanted.len() as u64,
        };
        Ok(Some(Self { parts, counting }))
    }

    /// Asks with the weights as they would be written.
    pub(super) fn ask(&self, trainer: &mut Trainer) -> Result<Prediction> {
        let mut nats = 0.0;
        for (feed, tokens) in &self.parts {
            let outputs = trainer.run(program::PREDICT, &step::inputs(feed))?;
            nats += f64::from(outputs.scalar("cross_entropy")?) * *tokens as f64;
        }
        let perplexity = (nats / self.counting.tokens as f64).exp();
        Ok(Prediction { perplexity, ..self.counting })
    }
}

/// Counts tokens of the examples that are learned from, in an order of their own.
fn counted(seed: u64, maker: &Maker) -> Result<Ngrams> {
    let rules = maker.preparation.token_rules()?;
    let special: BTreeSet<u32> = rules.special.iter().copied().collect();
    let examples = maker.source.len();
    let order = Permutation::new(examples, seed, "n-grams", 0);
    let mut all: Vec<Trigram> = Vec::new();
    for start in (0..examples).step_by(READ) {
        let indices: Vec<usize> =
            (start..(start + READ).min(examples)).map(|at| order.at(at)).collect();
        let (batch, _) = maker.source.batch(&indices)?;
        if let Rows::Texts(rows) = &batch.rows {
            all.extend(rows.iter().flat_map(|row| ngrams::trigrams(row, &special)));
        }
        if all.len() >= COUNTED {
            all.truncate(COUNTED);
            break;
        }
    }
    Ok(Ngrams::count(all, rules.vocabulary.saturating_sub(special.len())))
}
