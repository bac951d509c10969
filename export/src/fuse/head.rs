//! What may follow an encoder in one file.

use offshoot::adapters::{EncoderTag, HeadFile, MultiLabelFile, RegressionFile};

/// A head of any kind.
#[derive(Debug, Clone, Copy)]
pub enum AnyHead<'a> {
    /// One class an input.
    Classes(&'a HeadFile),
    /// Numbers.
    Numbers(&'a RegressionFile),
    /// Several labels an input.
    Labels(&'a MultiLabelFile),
}

impl<'a> AnyHead<'a> {
    /// The encoder that it was fitted on.
    #[must_use]
    pub fn encoder(self) -> &'a EncoderTag {
        match self {
            Self::Classes(head) => &head.encoder,
            Self::Numbers(head) => &head.encoder,
            Self::Labels(head) => &head.encoder,
        }
    }

    /// What its kind is called in the file's metadata.
    pub(super) fn kind(self) -> String {
        match self {
            Self::Classes(head) => head.head.kind().to_string(),
            Self::Numbers(_) => "regression".to_owned(),
            Self::Labels(_) => "multi-label".to_owned(),
        }
    }

    /// Names of its classes or labels.
    #[must_use]
    pub fn names(self) -> Option<&'a [String]> {
        match self {
            Self::Classes(head) => Some(head.head.classes().names()),
            Self::Numbers(_) => None,
            Self::Labels(head) => Some(head.fitted.labels().names()),
        }
    }
}

impl<'a> From<&'a HeadFile> for AnyHead<'a> {
    fn from(head: &'a HeadFile) -> Self {
        Self::Classes(head)
    }
}

impl<'a> From<&'a RegressionFile> for AnyHead<'a> {
    fn from(head: &'a RegressionFile) -> Self {
        Self::Numbers(head)
    }
}

impl<'a> From<&'a MultiLabelFile> for AnyHead<'a> {
    fn from(head: &'a MultiLabelFile) -> Self {
        Self::Labels(head)
    }
}
