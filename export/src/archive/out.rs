//! The file under an archive that is being written.

use std::fs::File;
use std::io::{BufWriter, Result, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A buffered file that goes quiet when its archive is given up: an archive that
/// is dropped tries to write its end, which must neither fail nor say so.
#[derive(Debug)]
pub(super) struct Out {
    file: BufWriter<File>,
    at: u64,
    given_up: GivenUp,
}

/// Whether an archive is given up. Shared by its file and its writer; becomes true
/// when the file refuses bytes, and when the writer is dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    pub(super) fn is_true(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Gives the archive up when it is dropped.
#[derive(Debug)]
pub(super) struct GiveUpOnDrop(pub(super) GivenUp);

impl Drop for GiveUpOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl Out {
    pub(super) fn new(file: File, given_up: GivenUp) -> Self {
        Self { file: BufWriter::with_capacity(1 << 20, file), at: 0, given_up }
    }

    /// Writes what is buffered and returns the size of the file.
    pub(super) fn finish(&mut self) -> Result<u64> {
        self.file.flush()?;
        Ok(self.file.get_ref().metadata()?.len())
    }

    fn attempt<T>(&mut self, act: impl FnOnce(&mut BufWriter<File>) -> Result<T>) -> Result<T> {
        act(&mut self.file).inspect_err(|_| self.given_up.set())
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = match self.given_up.is_true() {
            true => bytes.len(),
            false => self.attempt(|file| file.write(bytes))?,
        };
        self.at = self.at.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        match self.given_up.is_true() {
            true => Ok(()),
            false => self.attempt(BufWriter::flush),
        }
    }
}

impl Seek for Out {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.at = match (self.given_up.is_true(), to) {
            (false, SeekFrom::Current(0)) => self.at,
            (false, to) => self.attempt(|file| file.seek(to))?,
            (true, SeekFrom::Start(at)) => at,
            (true, SeekFrom::Current(by)) => self.at.saturating_add_signed(by),
            (true, SeekFrom::End(_)) => self.at,
        };
        Ok(self.at)
    }
}
