//! What an encoder can be quantised to.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What weights and activations become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Weights of 16-bit floats.
    Fp16,
    /// Weights of signed bytes, activations quantised as they come.
    Int8,
    /// The same with ranges of activations from calibration texts.
    Int8Static,
    /// Weights of 8 bits in blocks.
    Int8Weights,
    /// Weights of 4 bits in blocks.
    Int4Weights,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Fp16, Self::Int8, Self::Int8Static, Self::Int8Weights, Self::Int4Weights];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
            Self::Int8Static => "int8-static",
            Self::Int8Weights => "int8-weights",
            Self::Int4Weights => "int4-weights",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|precision| precision.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no precision `{name}`; there are {names}")
        })
    }
}
