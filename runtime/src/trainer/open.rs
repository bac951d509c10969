//! Opens a training program's file, which may come from anywhere.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::manifest::{PROGRAM_FORMAT, PROGRAM_KIND, ProgramManifest, STATE};
use super::program::{Initial, Procedure, Program, StateTensor, Weights, WeightsFile};
use super::safetensors::Stored;
use crate::bundle::{
    MANIFEST, MAX_MANIFEST_BYTES, Place, WEIGHTS, archive, copy_checked, read_place,
};
use crate::error::{Error, Result};

/// The largest graph that is read, in bytes; protobuf's own limit.
const MAX_MODEL_BYTES: u64 = i32::MAX as u64;

/// Manifests of programs list every state tensor, so they may be larger than those of
/// bundles.
const MAX_PROGRAM_MANIFEST: u64 = 16 * MAX_MANIFEST_BYTES;

impl Program {
    /// Opens `NAME.training`, and checks every entry against its digest. First values
    /// of the state are read when a trainer is made; frozen weights are mapped.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::ProgramFile`] when it is
    /// damaged, of a newer format, or holds a name, an offset or a declaration that
    /// cannot be; [`Error::Digest`] naming a damaged entry.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let refuse = |reason: String| Error::ProgramFile { path: path.to_owned(), reason };
        if file.metadata().map_err(|e| Error::io("open", path, e))?.is_dir() {
            return Err(refuse("it is a folder".into()));
        }
        let places = archive::places(path, &file, "the program that made it", &refuse)?;
        let opened = Opened { path, file: Arc::new(file), places, refuse: &refuse };
        let manifest = opened.manifest()?;
        opened.check_entries(&manifest)?;
        let program = opened.program(manifest)?;
        program.check().map_err(|error| refuse(error.to_string()))?;
        Ok(program)
    }
}

struct Opened<'a> {
    path: &'a Path,
    file: Arc<File>,
    places: BTreeMap<String, Place>,
    refuse: &'a dyn Fn(String) -> Error,
}

impl Opened<'_> {
    fn refuse(&self, reason: impl Into<String>) -> Error {
        (self.refuse)(reason.into())
    }

    fn place(&self, name: &str) -> Result<&Place> {
        self.places.get(name).ok_or_else(|| self.refuse(format!("it has no entry `{name}`")))
    }

    fn manifest(&self) -> Result<ProgramManifest> {
        #[derive(Deserialize)]
        struct Version {
            format: Option<u32>,
            kind: Option<String>,
        }
        let place = self.place(MANIFEST)?;
        let bytes =
            read_place(&self.file, self.path, MANIFEST, place, MAX_PROGRAM_MANIFEST, self.refuse)?;
        let bad = |e: serde_json::Error| self.refuse(format!("`{MANIFEST}`: {e}"));
        let version: Version = serde_json::from_slice(&bytes).map_err(bad)?;
        if version.kind.as_deref() != Some(PROGRAM_KIND) {
            return Err(self.refuse(format!("`{MANIFEST}` does not say that it is one")));
        }
        match version.format {
            Some(PROGRAM_FORMAT) => serde_json::from_slice(&bytes).map_err(bad),
            Some(newer) if newer > PROGRAM_FORMAT => Err(self.refuse(format!(
                "its format is {newer} and this program reads up to {PROGRAM_FORMAT}; use a newer \
                 Offshoot"
            ))),
            _ => Err(self.refuse(format!("`{MANIFEST}` has no `format` that ever existed"))),
        }
    }

    /// Checks that the archive holds what the manifest lists and nothing else, with
    /// the digests that it says.
    fn check_entries(&self, manifest: &ProgramManifest) -> Result<()> {
        for name in self.places.keys() {
            if name != MANIFEST && !manifest.entries.contains_key(name) {
                return Err(self.refuse(format!("its manifest does not list the entry `{name}`")));
            }
        }
        for (name, entry) in &manifest.entries {
            let place = self.place(name)?;
            if place.size != entry.size {
                return Err(self.refuse(format!(
                    "the entry `{name}` has {} bytes and its manifest says {}",
                    place.size, entry.size
                )));
            }
            copy_checked(&self.file, self.path, name, place, &entry.sha256, &mut |_| Ok(()))?;
        }
        Ok(())
    }

    fn program(&self, manifest: ProgramManifest) -> Result<Program> {
        let mut procedures = Vec::with_capacity(manifest.procedures.len());
        for procedure in manifest.procedures {
            let place = self.place(&procedure.model)?;
            let model = read_place(
                &self.file,
                self.path,
                &procedure.model,
                place,
                MAX_MODEL_BYTES,
                self.refuse,
            )?;
            procedures.push(Procedure {
                name: procedure.name,
                model: model.into(),
                state_inputs: procedure.state_inputs,
                state_outputs: procedure.state_outputs,
                guards: procedure.guards,
                counts: procedure.counts,
            });
        }
        let stored = match self.places.get(STATE) {
            Some(place) => {
                let stored = Stored::read(&self.file, place.offset, place.size)
                    .map_err(|reason| self.refuse(format!("`{STATE}`: {reason}")))?;
                Some((stored, place.offset))
            }
            None => None,
        };
        let mut state = Vec::with_capacity(manifest.state.len());
        for tensor in manifest.state {
            let initial = match (&stored, tensor.zeros) {
                (_, true) => Initial::Zeros,
                (None, false) => return Err(self.refuse(format!("it has no entry `{STATE}`"))),
                (Some((stored, start)), false) => {
                    let offset = stored
                        .place(&tensor.name, tensor.element, &tensor.dims)
                        .map_err(|reason| self.refuse(format!("`{STATE}`: {reason}")))?;
                    Initial::Stored { file: self.file.clone(), offset: start + offset }
                }
            };
            state.push(StateTensor {
                name: tensor.name,
                element: tensor.element,
                dims: tensor.dims,
                kind: tensor.kind,
                initial,
            });
        }
        let weights = match (self.places.get(WEIGHTS), manifest.entries.get(WEIGHTS)) {
            (Some(place), Some(entry)) => Weights::File(WeightsFile {
                path: self.path.to_owned(),
                offset: place.offset,
                size: place.size,
                sha256: entry.sha256.clone(),
                file: Some(self.file.clone()),
            }),
            _ => Weights::None,
        };
        Ok(Program { name: manifest.name, procedures, state, weights })
    }
}
