//! Copies of a learner that is in use.

use std::io;
use std::path::Path;

use super::{Store, place};
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
        // SQLite would write into an empty one.
        place::refuse_taken(path)?;
        let Some(name) = path.to_str() else {
            let reason = "the path of a copy has to be in Unicode";
            let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
            return Err(Error::io("write", path, error));
        };
        self.connection.execute("VACUUM INTO ?1", [name]).map_err(self.failure("copy"))?;
        Ok(())
    }
}
