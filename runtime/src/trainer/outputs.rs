//! What a run returns.

use super::tensor::Tensor;
use crate::error::{Error, Result};

/// The returned outputs of one run, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    pub(super) procedure: String,
    pub(super) values: Vec<(String, Tensor<'static>)>,
}

impl Outputs {
    /// The output of this name.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is none.
    pub fn get(&self, name: &str) -> Result<&Tensor<'static>> {
        self.values
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
            .ok_or_else(|| self.missing(name))
    }

    /// The output of this name, taken out.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is none, or no longer.
    pub fn take(&mut self, name: &str) -> Result<Tensor<'static>> {
        match self.values.iter().position(|(known, _)| known == name) {
            Some(index) => Ok(self.values.swap_remove(index).1),
            None => Err(self.missing(name)),
        }
    }

    /// The only element of a floating-point output.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is no such output or it is not a single number.
    pub fn scalar(&self, name: &str) -> Result<f32> {
        self.get(name)?.scalar().map_err(|error| {
            Error::Argument(format!("output `{name}` of `{}`: {error}", self.procedure))
        })
    }

    /// The output `loss`.
    ///
    /// # Errors
    /// As [`Self::scalar`].
    pub fn loss(&self) -> Result<f32> {
        self.scalar("loss")
    }

    /// Names and values, in the order of the graph.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<'static>)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn missing(&self, name: &str) -> Error {
        let known: Vec<&str> = self.values.iter().map(|(name, _)| name.as_str()).collect();
        Error::Argument(format!(
            "`{}` returned no output `{name}`, only {}",
            self.procedure,
            match known.is_empty() {
                true => "its state".to_owned(),
                false => known.join(", "),
            }
        ))
    }
}
