//! What a file of this crate's holds, by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::container::{DRIFT, HEAD, STATISTICS};
use super::fitted::Parts;
use crate::conformal::ConformalPredictor;
use crate::error::{Error, Result};
use crate::multi_label::MultiLabelHead;
use crate::open_set::OpenSet;
use crate::regression::RegressionHead;

/// What every header begins with, after its length.
const START: &[u8] = b"{\"__metadata__\":{\"format\":\"";
/// Bytes that hold the start and the longest name.
const LOOKED_AT: u64 = 80;

/// The kinds of file that this crate writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A [`HeadFile`](crate::HeadFile).
    Head,
    /// A [`RegressionFile`](crate::RegressionFile).
    Regression,
    /// A [`MultiLabelFile`](crate::MultiLabelFile).
    MultiLabel,
    /// A [`ConformalFile`](crate::ConformalFile).
    Conformal,
    /// An [`OpenSetFile`](crate::OpenSetFile).
    OpenSet,
    /// A [`StatisticsFile`](crate::StatisticsFile).
    Statistics,
    /// A [`DriftFile`](crate::DriftFile).
    Drift,
}

impl FileKind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Head, HEAD),
        (Self::Regression, RegressionHead::FORMAT),
        (Self::MultiLabel, MultiLabelHead::FORMAT),
        (Self::Conformal, ConformalPredictor::FORMAT),
        (Self::OpenSet, OpenSet::FORMAT),
        (Self::Statistics, STATISTICS),
        (Self::Drift, DRIFT),
    ];

    /// What a file begins as, or `None` for anything else. Only its first bytes are looked at:
    /// whether it is whole is seen when it is loaded.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn of(path: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LOOKED_AT).read_to_end(&mut bytes))
            .map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
        Ok(Self::of_bytes(&bytes))
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let name = bytes.get(8..)?.strip_prefix(START)?;
        let is = |format: &str| {
            name.strip_prefix(format.as_bytes()).is_some_and(|rest| rest.starts_with(b"\""))
        };
        Self::ALL.into_iter().find(|(_, format)| is(format)).map(|(kind, _)| kind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::container::Container;
    use super::*;

    #[test]
    fn every_format_is_told_by_its_first_bytes() {
        let container = Container { head: "{}".to_owned(), ..Container::default() };
        for (kind, format) in FileKind::ALL {
            let bytes = container.to_bytes(format).unwrap();
            assert_eq!(FileKind::of_bytes(&bytes), Some(kind));
            assert_eq!(FileKind::of_bytes(&bytes[..30]), None);
            let longer = container.to_bytes(&format!("{format}s")).unwrap();
            assert_eq!(FileKind::of_bytes(&longer), None);
        }
        assert_eq!(FileKind::of_bytes(b""), None);
        let missing = FileKind::of("no such file");
        assert!(matches!(missing, Err(Error::Io { action: "read", .. })));
    }
}
