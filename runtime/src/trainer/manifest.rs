//! The manifest of a training program's file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::element::Element;
use super::program::StateKind;
use crate::bundle::EntryInfo;

/// The format version that this crate writes and the newest that it reads.
pub const PROGRAM_FORMAT: u32 = 1;

/// What the entry `manifest.json` of a training program says it is.
pub const PROGRAM_KIND: &str = "training";

/// Name of the entry that holds the first values of the state.
pub const STATE: &str = "state.safetensors";

/// The entry `manifest.json` of `NAME.training`.
///
/// The file is an archive like a bundle's: every entry stored as it is and
/// page-aligned. Entries: this one, `procedures/NAME.onnx`, `weights.bin` when there
/// are frozen weights, and [`STATE`] when a first value is not zero everywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgramManifest {
    /// Version of the format, [`PROGRAM_FORMAT`].
    pub format: u32,
    /// [`PROGRAM_KIND`].
    pub kind: String,
    /// Name of the program, for people.
    pub name: String,
    /// Program and version that wrote the file.
    pub tool: String,
    /// The procedures.
    pub procedures: Vec<ProcedureManifest>,
    /// The state tensors.
    pub state: Vec<StateManifest>,
    /// Size and SHA-256 of every entry but the manifest, by name.
    pub entries: BTreeMap<String, EntryInfo>,
}

/// A procedure in a [`ProgramManifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcedureManifest {
    /// Name.
    pub name: String,
    /// Name of the entry that holds its graph.
    pub model: String,
    /// Graph inputs with their state tensors.
    pub state_inputs: Vec<(String, String)>,
    /// Graph outputs with their state tensors.
    pub state_outputs: Vec<(String, String)>,
    /// Outputs that must be finite.
    #[serde(default)]
    pub guards: Vec<String>,
    /// Whether a run counts as a training step.
    #[serde(default)]
    pub counts: bool,
}

/// A state tensor in a [`ProgramManifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateManifest {
    /// Name.
    pub name: String,
    /// Type of the elements.
    pub element: Element,
    /// Dimensions, outermost first.
    pub dims: Vec<usize>,
    /// What it is for.
    pub kind: StateKind,
    /// Whether its first value is zero everywhere; else [`STATE`] holds it.
    #[serde(default)]
    pub zeros: bool,
}
