//! Checkpoints: the whole state of a trainer in one safetensors file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::safetensors::{Entry, Stored, header};
use super::state::State;
use crate::bundle::{hex, read_at};
use crate::error::{Error, Result};

/// The format version that this crate writes and the newest that it reads.
pub const CHECKPOINT_FORMAT: u32 = 1;

/// Keys of the metadata that begin with this are this crate's own.
const OWN: &str = "offshoot.";
const FORMAT: &str = "offshoot.checkpoint";
const PROGRAM: &str = "offshoot.program";
const PROGRAM_NAME: &str = "offshoot.program_name";
const STEPS: &str = "offshoot.steps";
const SHA256: &str = "offshoot.sha256";

/// What a checkpoint says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Digest of the program it belongs to ([`Program::digest`](super::Program::digest)).
    pub program: String,
    /// Name of that program.
    pub program_name: String,
    /// Number of training steps taken.
    pub steps: u64,
    /// What the caller of [`Trainer::save`](super::Trainer::save) gave, such as the
    /// epoch or the state of a random generator.
    pub metadata: BTreeMap<String, String>,
}

/// What [`Trainer::restore_with`](super::Trainer::restore_with) accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    pub(super) other_program: bool,
}

impl RestoreOptions {
    /// Only checkpoints of the same program.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the checkpoint of a program with another digest is restored when names,
    /// types and shapes of all state tensors are the same.
    #[must_use]
    pub fn other_program(mut self, allowed: bool) -> Self {
        self.other_program = allowed;
        self
    }
}

impl Checkpoint {
    /// Reads what a checkpoint says about itself, and none of its tensors.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Checkpoint`] when it is no
    /// checkpoint, damaged or of a newer format.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Opened::open(path).map(|opened| opened.checkpoint)
    }
}

/// Writes `state` to `path`: beside it first, then synced and renamed.
pub(super) fn save(path: &Path, state: &State, checkpoint: &Checkpoint) -> Result<()> {
    let bad = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
    let mut metadata = checkpoint.metadata.clone();
    if let Some(key) = metadata.keys().find(|key| key.starts_with(OWN)) {
        return Err(Error::Argument(format!(
            "the key `{key}` begins with `{OWN}`, which is taken"
        )));
    }
    let mut hash = Sha256::new();
    for slot in state.slots() {
        hash.update(&*slot.current().bytes()?);
    }
    metadata.insert(FORMAT.into(), CHECKPOINT_FORMAT.to_string());
    metadata.insert(PROGRAM.into(), checkpoint.program.clone());
    metadata.insert(PROGRAM_NAME.into(), checkpoint.program_name.clone());
    metadata.insert(STEPS.into(), checkpoint.steps.to_string());
    metadata.insert(SHA256.into(), hex(&hash.finalize()));
    let entries: Vec<Entry> = state
        .slots()
        .iter()
        .map(|slot| Entry {
            name: slot.name.clone(),
            element: slot.element,
            dims: slot.dims.clone(),
        })
        .collect();
    let head = header(&entries, &metadata).map_err(bad)?;

    let failed = |e: std::io::Error| Error::io("write", path, e);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if path.file_name().is_none() || path.is_dir() {
        return Err(bad("it does not end in the name of a file".into()));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".checkpoint.").suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The usual permissions of a new file; the user's mask still applies.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(&head).map_err(failed)?;
    for slot in state.slots() {
        file.write_all(&slot.current().bytes()?).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    // Makes the rename last through a power cut, where the system can.
    if cfg!(unix)
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Replaces `state` by the one of the checkpoint `path`, wholly or not at all.
pub(super) fn restore(
    path: &Path,
    state: &mut State,
    program: (&str, &str),
    options: RestoreOptions,
) -> Result<Checkpoint> {
    let opened = Opened::open(path)?;
    let (name, digest) = program;
    if opened.checkpoint.program != digest && !options.other_program {
        return Err(opened.bad(format!(
            "it belongs to the program `{}` (digest {}), not to `{name}` (digest {digest}); open \
             that program, or allow another one",
            opened.checkpoint.program_name, opened.checkpoint.program
        )));
    }
    let places = opened.places(state)?;
    let mut hash = Sha256::new();
    let mut fixed = Vec::new();
    for (slot_index, offset) in places {
        let Some(slot) = state.get_mut(slot_index) else { continue };
        let size = slot.element.bytes(&slot.dims).unwrap_or(0);
        let read = |out: &mut [u8]| {
            read_at(&mut &opened.file, offset, out).map_err(|e| Error::io("read", path, e))
        };
        match slot.other_mut() {
            Some(other) => {
                other.fill(read)?;
                hash.update(&*other.bytes()?);
            }
            None => {
                let mut bytes = vec![0; size];
                read(&mut bytes)?;
                hash.update(&bytes);
                fixed.push((slot_index, bytes));
            }
        }
    }
    let found = hex(&hash.finalize());
    if let Some(expected) = &opened.sha256
        && *expected != found
    {
        return Err(opened.bad(format!(
            "its tensors are damaged: their SHA-256 is {found}, it says {expected}; use another \
             copy. The state was not changed"
        )));
    }
    for (slot, bytes) in fixed {
        if let Some(slot) = state.get_mut(slot) {
            slot.current_mut().fill(|out| {
                out.copy_from_slice(&bytes);
                Ok(())
            })?;
        }
    }
    state.swap_all();
    Ok(opened.checkpoint)
}

/// A checkpoint whose header was read and checked.
struct Opened<'a> {
    path: &'a Path,
    file: File,
    stored: Stored,
    checkpoint: Checkpoint,
    sha256: Option<String>,
}

impl<'a> Opened<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let bad = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let length = file.metadata().map_err(|e| Error::io("open", path, e))?.len();
        let stored = Stored::read(&file, 0, length).map_err(bad)?;
        let mut strings: BTreeMap<String, String> = stored.strings().into_iter().collect();
        let mut own = |key: &str| strings.remove(key);
        match own(FORMAT).map(|format| format.parse::<u32>()) {
            Some(Ok(CHECKPOINT_FORMAT)) => {}
            Some(Ok(newer)) if newer > CHECKPOINT_FORMAT => {
                return Err(bad(format!(
                    "its format is {newer} and this program reads up to {CHECKPOINT_FORMAT}; use a \
                     newer Offshoot"
                )));
            }
            Some(_) => return Err(bad(format!("its `{FORMAT}` is no version"))),
            None => return Err(bad(format!("it has no `{FORMAT}`: it is no checkpoint"))),
        }
        let mut needed =
            |key: &str| own(key).ok_or_else(|| bad(format!("it has no `{key}`; use another copy")));
        let program = needed(PROGRAM)?;
        let program_name = needed(PROGRAM_NAME)?;
        let steps = needed(STEPS)?
            .parse()
            .map_err(|_| bad(format!("its `{STEPS}` is no number of steps")))?;
        let sha256 = own(SHA256);
        let metadata = strings.into_iter().filter(|(key, _)| !key.starts_with(OWN)).collect();
        let checkpoint = Checkpoint { program, program_name, steps, metadata };
        Ok(Self { path, file, stored, checkpoint, sha256 })
    }

    fn bad(&self, reason: String) -> Error {
        Error::Checkpoint { path: self.path.to_owned(), reason }
    }

    /// Numbers of the state tensors and where they lie, in the file's order.
    fn places(&self, state: &State) -> Result<Vec<(usize, u64)>> {
        let names = self.stored.names();
        if let Some(name) = names.iter().find(|name| state.index(name).is_none()) {
            return Err(self.bad(format!(
                "it has a tensor `{name}`, which the program does not know; it is of another \
                 program"
            )));
        }
        let mut places = Vec::with_capacity(names.len());
        for (index, slot) in state.slots().iter().enumerate() {
            let offset = self
                .stored
                .place(&slot.name, slot.element, &slot.dims)
                .map_err(|reason| self.bad(format!("{reason}; it is of another program")))?;
            places.push((index, offset));
        }
        places.sort_by_key(|&(_, offset)| offset);
        Ok(places)
    }
}
