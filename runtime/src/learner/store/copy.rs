//! Copies of a learner that is in use.

use std::io;
use std::path::Path;

use super::Store;
use crate::error::{Error, Result};

impl Store {
    /// Writes the learner, as it is at one moment, to a file that is not there yet. Others may
    /// use the learner meanwhile. O(bytes), on the disk too.
    ///
    /// ```
    /// # use offshoot::adapters::EncoderTag;
    /// # use offshoot::learner::{NewExample, Store, StoreInfo};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("mail.learner");
    /// # let encoder = EncoderTag {
    /// #     digest: "sha256:3f2a".into(),
    /// #     name: "my-encoder".into(),
    /// #     dimensions: 2,
    /// #     prompt: None,
    /// # };
    /// # let info = StoreInfo { encoder, head: "ridge".into(), keeps_text: true };
    /// # let mut store = Store::create(&path, &info, [])?;
    /// store.teach(&NewExample::new(vec![0.6, 0.8], "spam"))?;
    /// let copy = folder.path().join("copy.learner");
    /// store.copy_to(&copy)?;
    /// store.teach(&NewExample::new(vec![0.8, 0.6], "spam"))?;
    /// assert_eq!(Store::open(&copy)?.len()?, 1);
    /// assert!(store.copy_to(&copy).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written, also because there is one;
    /// [`Error::Store`] for a damaged learner; [`Error::Busy`].
    pub fn copy_to(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let cannot = |kind, reason| Error::io("write", path, io::Error::new(kind, reason));
        // SQLite would write into an empty one.
        if path.symlink_metadata().is_ok() {
            let reason = "there is already such a file";
            return Err(cannot(io::ErrorKind::AlreadyExists, reason));
        }
        let Some(name) = path.to_str() else {
            let reason = "the path of a copy has to be in Unicode";
            return Err(cannot(io::ErrorKind::InvalidInput, reason));
        };
        self.connection.execute("VACUUM INTO ?1", [name]).map_err(self.failure("copy"))?;
        Ok(())
    }
}
