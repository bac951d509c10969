//! Which of the layouts that encoders are published in a path holds.

use std::path::{Path, PathBuf};

use offshoot::bundle::{MANIFEST, MODEL};

use crate::error::{Error, Result};

/// What is to be imported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A folder with `config.json` and weights in safetensors files.
    Checkpoint {
        /// The folder.
        folder: PathBuf,
    },
    /// An ONNX file, and the folder with its tokenizer and configuration.
    Onnx {
        /// The ONNX file.
        file: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// A folder that a bundle was unpacked to.
    Unpacked {
        /// The folder.
        folder: PathBuf,
    },
}

/// What can be imported, for messages.
const ACCEPTED: &str = "accepted are a folder with model.safetensors (or its shards and \
                        model.safetensors.index.json), a folder with model.onnx or \
                        onnx/model.onnx, and a .onnx file";

impl Source {
    /// Looks at what stands at `path`. `transformer` is the folder of the
    /// transformer's weights, where `path` is a folder of several modules.
    pub(crate) fn find(path: &Path, transformer: impl FnOnce() -> Result<PathBuf>) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(Error::io("open", path))?;
        if !metadata.is_dir() {
            return Self::find_file(path);
        }
        let is_file = |name: &str| path.join(name).is_file();
        if is_file(MANIFEST) && is_file(MODEL) {
            return Ok(Self::Unpacked { folder: path.into() });
        }
        let weights = transformer()?;
        let has_weights =
            |name: &str| weights.join(name).is_file() || weights.join(name).is_symlink();
        if has_weights("model.safetensors") || has_weights("model.safetensors.index.json") {
            return Ok(Self::Checkpoint { folder: path.into() });
        }
        for name in [MODEL, "onnx/model.onnx"] {
            if is_file(name) {
                return Ok(Self::Onnx { file: path.join(name), folder: path.into() });
            }
        }
        let pickles = [
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
            "tf_model.h5",
            "flax_model.msgpack",
        ];
        if let Some(name) = pickles.into_iter().find(|name| has_weights(name)) {
            return Err(Error::unsupported(
                weights.join(name),
                format!(
                    "weights in this form are not read; save the model again with `transformers` \
                     (save_pretrained writes model.safetensors); {ACCEPTED}"
                ),
            ));
        }
        Err(Error::unsupported(path, format!("there are no weights that can be read; {ACCEPTED}")))
    }

    fn find_file(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "onnx" => {
                let beside = path.parent().unwrap_or(Path::new(""));
                // Optimum and the hubs keep ONNX files in a folder of their own.
                let above = beside.file_name().filter(|name| *name == "onnx").and(beside.parent());
                let has_tokenizer = |folder: &Path| folder.join("tokenizer.json").is_file();
                let folder = match above {
                    Some(above) if !has_tokenizer(beside) && has_tokenizer(above) => above,
                    _ => beside,
                };
                Ok(Self::Onnx { file: path.into(), folder: folder.into() })
            }
            "safetensors" => Err(Error::unsupported(
                path,
                "weights alone say too little; name the folder that holds them with config.json and \
                 tokenizer.json",
            )),
            "offshoot" => Err(Error::unsupported(path, "it is a bundle already; open it as it is")),
            _ => Err(Error::unsupported(path, ACCEPTED)),
        }
    }

    /// A name for the encoder: that of its folder.
    pub(crate) fn name(&self) -> String {
        let (Self::Checkpoint { folder } | Self::Onnx { folder, .. } | Self::Unpacked { folder }) =
            self;
        let full = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.clone());
        full.file_name()
            .map_or_else(|| "encoder".into(), |name| name.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(files: &[&str], path: &str) -> Result<Source> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let path = folder.path().join(path);
        let strip = |p: PathBuf| p.strip_prefix(folder.path()).unwrap().to_owned();
        Source::find(&path, || Ok(path.clone())).map(|source| match source {
            Source::Checkpoint { folder } => Source::Checkpoint { folder: strip(folder) },
            Source::Onnx { file, folder } => {
                Source::Onnx { file: strip(file), folder: strip(folder) }
            }
            Source::Unpacked { folder } => Source::Unpacked { folder: strip(folder) },
        })
    }

    fn onnx(file: &str, folder: &str) -> Source {
        Source::Onnx { file: file.into(), folder: folder.into() }
    }

    #[test]
    fn layouts_are_told_apart() {
        let checkpoint = Source::Checkpoint { folder: "".into() };
        assert_eq!(find(&["model.safetensors", "onnx/model.onnx"], "").unwrap(), checkpoint);
        assert_eq!(find(&["model.safetensors.index.json"], "").unwrap(), checkpoint);
        assert_eq!(find(&["model.onnx"], "").unwrap(), onnx("model.onnx", ""));
        assert_eq!(find(&["onnx/model.onnx"], "").unwrap(), onnx("onnx/model.onnx", ""));
        let unpacked = Source::Unpacked { folder: "".into() };
        assert_eq!(find(&["manifest.json", "model.onnx"], "").unwrap(), unpacked);
    }

    #[test]
    fn an_onnx_file_finds_its_tokenizer_above() {
        let files = ["onnx/model_fp16.onnx", "tokenizer.json"];
        assert_eq!(find(&files, files[0]).unwrap(), onnx(files[0], ""));
        let files = ["onnx/model.onnx", "tokenizer.json", "onnx/tokenizer.json"];
        assert_eq!(find(&files, files[0]).unwrap(), onnx(files[0], "onnx"));
    }

    #[test]
    fn other_forms_say_what_is_accepted() {
        for (files, path, says) in [
            (&["pytorch_model.bin"][..], "", "pytorch_model.bin: weights in this form"),
            (&["README.md"], "", "no weights"),
            (&["model.safetensors"], "model.safetensors", "name the folder"),
            (&["a.offshoot"], "a.offshoot", "already"),
            (&["a.txt"], "a.txt", "accepted are"),
            (&[], "nowhere", "cannot open"),
        ] {
            let message = find(files, path).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
