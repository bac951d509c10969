//! Where an encoder's weights come from: drawn at random, or trained before.

use std::collections::BTreeMap;

use offshoot_export::graph::{Graph, Tensor, Value};

use crate::error::{Error, Result};
use crate::random::SplitMix64;

/// How a weight is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Normal with this standard deviation, drawn again beyond two of them.
    Normal(f32),
    /// Normal with variance 2 over the number of inputs (He et al., 2015, arXiv:1502.01852).
    He {
        /// Numbers that each output is a sum over.
        inputs: usize,
    },
    /// Uniform with variance 2 over inputs and outputs (Glorot & Bengio, 2010).
    Glorot {
        /// Numbers that each output is a sum over.
        inputs: usize,
        /// Numbers that each input goes to.
        outputs: usize,
    },
}

/// The weights of the networks that are built with it. A name that is asked for again gives
/// the same weight, so that a network that is built twice shares its weights.
#[derive(Debug)]
pub struct Weights {
    given: BTreeMap<String, Tensor>,
    others: Others,
    made: Vec<(String, Value)>,
    prefix: String,
    suffix: &'static str,
}

/// What becomes of weights that are not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They are drawn with this seed.
    Drawn(u64),
    /// They are an error.
    Refused,
}

impl Weights {
    fn new(given: BTreeMap<String, Tensor>, others: Others) -> Self {
        Self { given, others, made: Vec::new(), prefix: String::new(), suffix: "" }
    }

    /// Weights that are drawn with a seed. Each has its own stream of random numbers, so what
    /// is drawn for one does not depend on the others.
    pub fn random(seed: u64) -> Self {
        Self::new(BTreeMap::new(), Others::Drawn(seed))
    }

    /// Weights that are there already, by name.
    pub fn trained(given: BTreeMap<String, Tensor>) -> Self {
        Self::new(given, Others::Refused)
    }

    /// Weights that are there already where they have a name, the others drawn.
    pub fn partly(given: BTreeMap<String, Tensor>, seed: u64) -> Self {
        Self::new(given, Others::Drawn(seed))
    }

    /// The weight `name` of the dimensions `dims`.
    ///
    /// # Errors
    /// [`Error::Pretrain`] when trained weights lack it or it has other dimensions; those of
    /// the graph.
    pub fn get(&mut self, g: &mut Graph, name: &str, dims: &[usize], init: Init) -> Result<Value> {
        let name = &format!("{}{name}", self.prefix);
        let full = format!("{name}{}", self.suffix);
        if let Some((_, value)) = self.made.iter().find(|(made, _)| *made == full) {
            return Ok(*value);
        }
        let tensor = match (self.given.get(name), self.others) {
            (Some(tensor), _) if tensor.dims == dims => tensor.clone(),
            (Some(tensor), _) => {
                return Err(Error::Pretrain(format!(
                    "the weight `{name}` has the dimensions {:?} and the encoder wants {dims:?}",
                    tensor.dims
                )));
            }
            (None, Others::Refused) => {
                return Err(Error::Pretrain(format!("there is no weight `{name}`")));
            }
            (None, Others::Drawn(seed)) => Tensor::from_f32(dims, &draw(seed, name, dims, init)),
        };
        let value = g.root_initializer(&full, tensor)?;
        self.made.push((full, value));
        Ok(value)
    }

    /// Runs `build` with names that end with `suffix` as well: another set of the same weights,
    /// with the same values at first.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn with_suffix<T>(
        &mut self,
        suffix: &'static str,
        build: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.suffix, suffix);
        let result = build(self);
        self.suffix = before;
        result
    }

    /// Runs `build` with names that begin with `prefix` as well: a second network of the same
    /// architecture.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn with_prefix<T>(
        &mut self,
        prefix: &str,
        build: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.prefix, prefix.into());
        let result = build(self);
        self.prefix = before;
        result
    }

    /// The weights made so far whose names do not end with `suffix`, in the order in which
    /// they were made.
    pub fn without_suffix(&self, suffix: &str) -> Vec<Value> {
        let kept = self.made.iter().filter(|(name, _)| !name.ends_with(suffix));
        kept.map(|(_, value)| *value).collect()
    }

    /// Names and values made so far.
    pub fn made(&self) -> &[(String, Value)] {
        &self.made
    }
}

/// The numbers of a weight.
fn draw(seed: u64, name: &str, dims: &[usize], init: Init) -> Vec<f32> {
    let count = dims.iter().product();
    let mut random = SplitMix64::stream(seed, name, &[]);
    let mut truncated = |deviation: f32| loop {
        let drawn = random.normal();
        if drawn.abs() <= 2.0 {
            break deviation * drawn;
        }
    };
    match init {
        Init::Zeros => vec![0.0; count],
        Init::Ones => vec![1.0; count],
        Init::Normal(deviation) => (0..count).map(|_| truncated(deviation)).collect(),
        Init::He { inputs } => {
            let deviation = (2.0 / inputs.max(1) as f32).sqrt();
            (0..count).map(|_| deviation * random.normal()).collect()
        }
        Init::Glorot { inputs, outputs } => {
            let bound = (6.0 / (inputs + outputs).max(1) as f32).sqrt();
            (0..count).map(|_| random.between(-bound, bound)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use offshoot_export::graph::Lowering;

    use super::*;

    fn value(weights: &mut Weights, name: &str, dims: &[usize]) -> Result<Vec<f64>> {
        let mut g = Graph::new("g", Lowering::Standard);
        weights.get(&mut g, name, dims, Init::Normal(1.0))?;
        Ok(g.initializers()[0].1.to_f64().unwrap())
    }

    #[test]
    fn a_missing_weight_is_drawn_or_refused() {
        let given = BTreeMap::from([("a".to_owned(), Tensor::from_f32(&[2], &[3.0, 4.0]))]);
        let mut trained = Weights::trained(given.clone());
        assert_eq!(value(&mut trained, "a", &[2]).unwrap(), [3.0, 4.0]);
        let message = value(&mut trained, "b", &[2]).unwrap_err().to_string();
        assert!(message.contains("no weight `b`"), "{message}");
        let mut other = Weights::trained(given.clone());
        let message = value(&mut other, "a", &[3]).unwrap_err().to_string();
        assert!(message.contains("dimensions [2] and the encoder wants [3]"), "{message}");
        // A seed of 0 is one as any other.
        let drawn = |seed| value(&mut Weights::partly(given.clone(), seed), "b", &[2]).unwrap();
        assert_eq!(drawn(0), value(&mut Weights::random(0), "b", &[2]).unwrap());
        assert_ne!(drawn(0), drawn(1));
    }
}
