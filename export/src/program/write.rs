//! Writes a training program's file.

use std::path::Path;

use offshoot::bundle::{WEIGHTS, check_entry_name};
use offshoot::trainer::{
    PROGRAM_FORMAT, PROGRAM_KIND, ProcedureManifest, ProgramManifest, STATE, StateManifest,
};

use super::ProgramBuilder;
use super::state::Stored;
use super::weights::Shared;
use crate::archive::BundleWriter;
use crate::error::{Error, Result};

/// A training program's file that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenProgram {
    /// The manifest, with the size and digest of every entry.
    pub manifest: ProgramManifest,
    /// Size of the file in bytes.
    pub size: u64,
}

impl ProgramBuilder {
    /// Writes `NAME.training`: an archive like a bundle's, with one entry for each
    /// graph, the frozen weights and the first values of the state. Tensors are read
    /// one after another; the file appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::Program`] when the program contradicts itself; [`Error::Archive`] when
    /// something stands at `path` and `overwrite` is false; [`Error::Io`] when the disk
    /// refuses; those of the tensors' sources.
    pub fn write(&self, path: &Path, overwrite: bool) -> Result<WrittenProgram> {
        if self.procedures.is_empty() {
            return Err(Error::Program(format!("the program `{}` has no procedures", self.name)));
        }
        let shared = Shared::new(&self.procedures)?;
        let mut writer = BundleWriter::create(path, overwrite)?;
        let mut procedures = Vec::with_capacity(self.procedures.len());
        for (index, procedure) in self.compile(&shared)?.into_iter().enumerate() {
            let model = entry_name(&procedure.name, index);
            writer.add_bytes(&model, &procedure.model)?;
            procedures.push(ProcedureManifest {
                name: procedure.name,
                model,
                state_inputs: procedure.state_inputs,
                state_outputs: procedure.state_outputs,
                guards: procedure.guards,
                counts: procedure.counts,
            });
        }
        if shared.size() > 0 {
            writer.add(WEIGHTS, shared.size(), |out| shared.write(&self.procedures, out))?;
        }
        if let Some(stored) = Stored::new(&self.state)? {
            writer.add(STATE, stored.size(), |out| stored.write(out))?;
        }
        let mut state = Vec::with_capacity(self.state.len());
        for value in &self.state {
            state.push(StateManifest {
                name: value.name.clone(),
                element: value.element()?,
                dims: value.dims.clone(),
                kind: value.kind,
                zeros: value.value.is_none(),
            });
        }
        let mut manifest = ProgramManifest {
            format: PROGRAM_FORMAT,
            kind: PROGRAM_KIND.into(),
            name: self.name.clone(),
            tool: concat!("offshoot ", env!("CARGO_PKG_VERSION")).into(),
            procedures,
            state,
            entries: Default::default(),
        };
        let (_, size) = writer.finish_with(|entries| {
            manifest.entries = entries;
            serde_json::to_vec_pretty(&manifest)
                .map_err(|e| Error::Program(format!("the manifest cannot be written: {e}")))
        })?;
        Ok(WrittenProgram { manifest, size })
    }
}

/// The entry of a procedure's graph: under its own name where that may name a file.
fn entry_name(procedure: &str, index: usize) -> String {
    let name = format!("procedures/{procedure}.onnx");
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    match procedure.bytes().all(plain) && check_entry_name(&name).is_ok() {
        true => name,
        false => format!("procedures/-{index}.onnx"),
    }
}
