//! Objectives that give tokens probabilities: how well they predict can be held against other
//! models of the same tokens.

use offshoot_export::graph::Value;

use super::{Batch, Draw, Feed, Objective, Preparation};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// An objective that gives tokens probabilities.
pub trait Predictor: Objective {
    /// Adds its inputs and the mean cross-entropy of the tokens that are asked for, in nats, to
    /// the graph.
    ///
    /// # Errors
    /// Those of the graph.
    fn cross_entropy(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value>;

    /// Asks for tokens of a batch: ordinary ones only, none of which it can see.
    ///
    /// # Errors
    /// As [`Objective::feed`].
    fn asks(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Asked>;
}

/// Tokens that a [`Predictor`] is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What the inputs of [`Predictor::cross_entropy`] are fed.
    pub feed: Feed,
    /// The batch's tokens, with nothing hidden.
    pub rows: Vec<Vec<u32>>,
    /// Row and place of each token that is asked for.
    pub places: Vec<[usize; 2]>,
}

impl Preparation {
    /// Hidden tokens, as [`Preparation::masked`] chooses them, each replaced by the mask token.
    pub(super) fn asks_hidden(
        &self,
        prefix: &str,
        batch: &Batch,
        draw: &Draw,
        share: f32,
    ) -> Result<Asked> {
        let rows = self.texts(batch, draw)?;
        let feed = self.masked(prefix, batch, draw, share, [1.0, 0.0])?;
        let width = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let mut places = Vec::new();
        let all = |name: &str| {
            let wanted = format!("{prefix}{name}");
            feed.iter().find(|(name, _)| *name == wanted).map(|(_, v)| v.array::<i64>())
        };
        if let (Some(positions), Some(labels)) = (all("positions"), all("labels")) {
            for (&position, &label) in positions?.iter().zip(labels?.iter()) {
                if label >= 0 {
                    places.push([position as usize / width, position as usize % width]);
                }
            }
        }
        Ok(Asked { feed, rows, places })
    }
}
