//! One unnamed temporary file for everything that is spooled to disk: a set of a thousand
//! files does not need a thousand open ones.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The file that is in use, which vanishes with its last user.
static SHARED: Mutex<Weak<Pool>> = Mutex::new(Weak::new());

/// A file to whose end bytes are added, by several threads at once.
#[derive(Debug)]
struct Pool {
    file: File,
    end: Mutex<u64>,
}

/// Bytes of one owner, which may lie in several stretches of the file.
#[derive(Debug)]
pub(super) struct Stretches {
    pool: Arc<Pool>,
    /// Where each stretch begins: in the owner's bytes, and in the file. Those that follow
    /// one another in the file are one.
    starts: Vec<(u64, u64)>,
    len: u64,
}

impl Stretches {
    /// No bytes yet, in the file that is in use or in a new one in the folder of temporary
    /// files.
    pub(super) fn new() -> io::Result<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = match shared.upgrade() {
            Some(pool) => pool,
            None => {
                let pool = Arc::new(Pool { file: tempfile::tempfile()?, end: Mutex::new(0) });
                *shared = Arc::downgrade(&pool);
                pool
            }
        };
        Ok(Self { pool, starts: Vec::new(), len: 0 })
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Adds bytes.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len() as u64;
        let at = {
            let mut end = self.pool.end.lock().unwrap_or_else(PoisonError::into_inner);
            let at = *end;
            *end += len;
            at
        };
        write_all_at(&self.pool.file, bytes, at)?;
        let follows = self.starts.last().is_some_and(|(own, file)| file + (self.len - own) == at);
        if !follows {
            self.starts.push((self.len, at));
        }
        self.len += len;
        Ok(())
    }

    /// Fills `bytes` from `offset` on.
    pub(super) fn read(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while !bytes.is_empty() {
            let after = self.starts.partition_point(|&(own, _)| own <= offset);
            let Some(&(own, file)) = after.checked_sub(1).and_then(|at| self.starts.get(at)) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let end = self.starts.get(after).map_or(self.len, |&(next, _)| next);
            let here = (bytes.len() as u64).min(end - offset) as usize;
            let (now, rest) = bytes.split_at_mut(here);
            read_exact_at(&self.pool.file, now, file + (offset - own))?;
            bytes = rest;
            offset += here as u64;
        }
        Ok(())
    }
}

#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                bytes = &mut bytes[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_that_take_turns_read_their_own_bytes() {
        let mut owners = [Stretches::new().unwrap(), Stretches::new().unwrap()];
        for turn in 0..20u8 {
            for (number, owner) in owners.iter_mut().enumerate() {
                // The first owner writes twice in a row now and then.
                let times = if number == 0 && turn % 3 == 0 { 2 } else { 1 };
                for _ in 0..times {
                    owner.append(&[turn + 100 * number as u8; 7]).unwrap();
                }
            }
        }
        for (number, owner) in owners.iter().enumerate() {
            let mut expected = Vec::new();
            for turn in 0..20u8 {
                let times = if number == 0 && turn % 3 == 0 { 2 } else { 1 };
                expected.extend(vec![turn + 100 * number as u8; 7 * times]);
            }
            assert_eq!(owner.len(), expected.len() as u64);
            for start in 0..expected.len() {
                let mut bytes = vec![0; (expected.len() - start).min(40)];
                owner.read(&mut bytes, start as u64).unwrap();
                assert_eq!(bytes, expected[start..start + bytes.len()]);
            }
            assert!(owner.read(&mut [0; 2], owner.len() - 1).is_err());
        }
    }
}
