//! Small published encoders and what their libraries make of them: see
//! `reference/import/make.py`.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use ndarray::ArrayView2;
use offshoot::{EmbedOptions, Encoder, OpenOptions, Prompt, WeightCache};
use offshoot_export::graph::Lowering;
use offshoot_export::{ImportOptions, Imported, Result, import};
use serde::Deserialize;
use tempfile::TempDir;

/// Largest absolute difference of an embedding's element from the reference.
pub(crate) const TOLERANCE: f32 = 1e-5;

pub(crate) fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/import").join(name)
}

/// What the publisher's library gives.
#[derive(Debug, Deserialize)]
pub(crate) struct Expected {
    pub(crate) texts: Vec<String>,
    pub(crate) ids: Vec<Vec<u32>>,
    pub(crate) embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    pub(crate) prompted: std::collections::BTreeMap<String, Vec<Vec<f32>>>,
}

impl Expected {
    pub(crate) fn read(name: &str) -> Self {
        serde_json::from_slice(&std::fs::read(reference(name).join("expected.json")).unwrap())
            .unwrap()
    }

    /// Checks token ids and embeddings, of all texts together and of each by itself.
    pub(crate) fn check(&self, encoder: &Encoder) {
        let options = EmbedOptions { prompt: Prompt::None, ..Default::default() };
        for (text, ids) in self.texts.iter().zip(&self.ids) {
            assert_eq!(&encoder.tokenize(text, &options).unwrap().ids, ids, "{text:?}");
        }
        let together = encoder.embed_with(&self.texts, &options).unwrap();
        close(together.vectors(), &self.embeddings);
        for (text, row) in self.texts.iter().zip(&self.embeddings) {
            let alone = encoder.embed_with(&[text], &options).unwrap();
            close(alone.vectors(), std::slice::from_ref(row));
        }
    }
}

pub(crate) fn close(found: ArrayView2<'_, f32>, expected: &[Vec<f32>]) {
    assert_eq!(found.dim(), (expected.len(), expected[0].len()));
    for (found, expected) in found.rows().into_iter().zip(expected) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= TOLERANCE, "{found} against {expected}");
        }
    }
}

/// A published encoder in a folder of its own, free to be changed.
pub(crate) struct Copy {
    temporary: TempDir,
}

impl Copy {
    pub(crate) fn of(name: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        copy(&reference(name), &temporary.path().join(name));
        std::fs::rename(temporary.path().join(name), temporary.path().join("model")).unwrap();
        Self { temporary }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.temporary.path().join("model")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.temporary.path().join("model.offshoot")
    }

    /// Replaces text in one of its files.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}: {text}");
        std::fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    pub(crate) fn import_with(&self, options: &ImportOptions) -> Result<Imported> {
        import(&self.folder(), &self.bundle(), options, &mut |_| {})
    }

    pub(crate) fn import(&self) -> Result<Imported> {
        self.import_with(&ImportOptions::default())
    }

    /// The message with which the import fails; nothing may be left behind.
    pub(crate) fn refusal(&self) -> String {
        let message = self.import().unwrap_err().to_string();
        assert_eq!(self.names(), ["model"], "after: {message}");
        message
    }

    /// Names in the folder that holds the model and the bundle, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.temporary.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn open(&self) -> Encoder {
        open(&self.bundle())
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn open(path: &Path) -> Encoder {
    OpenOptions::new().cache(WeightCache::Off).open(path).unwrap()
}

pub(crate) fn lowered(lowering: Lowering) -> ImportOptions {
    ImportOptions { lowering, ..Default::default() }
}
