//! Keys: 256 random bits each, of which the file holds the SHA-256 only.
//!
//! A slow hash would add nothing: it protects words that can be guessed, and these are not.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::error::{Error, Result};

/// Whose request it is: what its learners are kept under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) String);

/// The file of keys, and those that are known of it.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
}

impl KeyFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let keys = RwLock::new(Arc::new(Keys::read(path)?));
        Ok(Self { path: path.to_owned(), keys })
    }

    /// The keys that are known now.
    pub(crate) fn now(&self) -> Arc<Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again; gives whether its keys are others. Those that were known stay
    /// where the file cannot be used.
    pub(crate) fn reload(&self) -> Result<bool> {
        let keys = Keys::read(&self.path)?;
        let mut known = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **known != keys;
        *known = Arc::new(keys);
        Ok(changed)
    }
}

/// The keys that are known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    keys: Vec<[u8; 32]>,
}

impl Keys {
    /// Reads lines `NAME SHA256`; empty ones and those after `#` count for nothing.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path.display()))?;
        let mut keys = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = |reason| Error::Keys { path: path.to_owned(), line: i + 1, reason };
            let digest = line.split_whitespace().nth(1).ok_or_else(|| bad("it has no digest"))?;
            keys.push(from_hex(digest).ok_or_else(|| bad("its digest is no SHA-256"))?);
        }
        if keys.is_empty() {
            return Err(Error::Argument(format!(
                "{} holds no key, so nobody could use the service; make one with `offshoot serve \
                 --new-key NAME --keys FILE`",
                path.display()
            )));
        }
        Ok(Self { keys })
    }

    /// The owner of a key. Takes the same time for every key that is not known.
    pub(crate) fn owner(&self, key: &str) -> Option<Owner> {
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut found = 0u8;
        for known in &self.keys {
            found.conditional_assign(&1, known.ct_eq(&digest));
        }
        (found == 1).then(|| Owner(to_hex(&digest[..16])))
    }
}

/// Makes a key and adds its digest to the file; gives the key, which is kept nowhere.
///
/// # Errors
/// [`Error::Argument`] for a name with spaces; [`Error::Io`] when the file cannot be written.
pub fn new_key(path: &Path, name: &str) -> Result<String> {
    if name.is_empty() || name.starts_with('#') || name.contains(char::is_whitespace) {
        return Err(Error::Argument(format!("{name:?} is no name for a key: use one word")));
    }
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Error::Argument(format!("the system gave no random bits: {error}")))?;
    let key = format!("off_{}", URL_SAFE_NO_PAD.encode(random));
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = || Error::io("write", path.display());
    let mut file = options.open(path).map_err(failed())?;
    file.write_all(format!("{name} {}\n", to_hex(&digest)).as_bytes()).map_err(failed())?;
    file.sync_all().map_err(failed())?;
    Ok(key)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    let bytes: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[a, b]| a * 16 + b).collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_digest_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let (a, b) = (new_key(&path, "phone").unwrap(), new_key(&path, "laptop").unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&a) && text.starts_with("phone ") && text.lines().count() == 2);
        let keys = Keys::read(&path).unwrap();
        assert_ne!(keys.owner(&a).unwrap(), keys.owner(&b).unwrap());
        assert_eq!(keys.owner("off_wrong"), None);
        std::fs::write(&path, "# none\nphone abc\n").unwrap();
        assert!(Keys::read(&path).unwrap_err().to_string().contains("line 2"));
        std::fs::write(&path, "").unwrap();
        assert!(Keys::read(&path).is_err() && new_key(&path, "two words").is_err());
    }
}
