//! The chain of modules that `modules.json` lists.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::dense::DenseConfig;
use super::json::{Object, kind, read_small, read_value};
use super::pooling::PoolingConfig;
use crate::error::{Error, Result};

/// What stands between the token vectors and the embedding.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// Folder of the transformer, often the model's own.
    pub(crate) transformer: PathBuf,
    /// Pooling, with the file that described it; `None` for a folder without
    /// `modules.json`.
    pub(crate) pooling: Option<(Object, PoolingConfig)>,
    /// What follows, in order.
    pub(crate) after: Vec<Step>,
    /// Configuration files of the modules, relative to the model's folder.
    pub(crate) files: Vec<PathBuf>,
}

/// A module after pooling.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A linear layer with an activation.
    Dense(DenseConfig),
    /// Division by the Euclidean norm.
    Normalize,
}

impl Chain {
    /// Whether the last step leaves vectors of unit norm.
    pub(crate) fn normalizes(&self) -> bool {
        matches!(self.after.last(), Some(Step::Normalize))
    }

    /// Reads `modules.json` of `folder`, or describes a plain folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("modules.json");
        if !path.is_file() {
            return Ok(Self {
                transformer: folder.into(),
                pooling: None,
                after: Vec::new(),
                files: Vec::new(),
            });
        }
        let value = read_value(&path, &read_small(&path, 1 << 20)?)?;
        let Value::Array(modules) = &value else {
            return Err(Error::Json {
                path,
                reason: format!("it holds {} where a list of modules is expected", kind(&value)),
            });
        };
        let modules = modules
            .iter()
            .map(|module| Module::parse(&path, module))
            .collect::<Result<Vec<_>>>()?;
        let order = || {
            let names: Vec<_> = modules.iter().map(|module| module.name.as_str()).collect();
            Error::unsupported(
                &path,
                format!(
                    "the modules are {}; supported is a Transformer, then Pooling, then any \
                     number of Dense and Normalize",
                    names.join(", ")
                ),
            )
        };
        let [transformer, pooling, rest @ ..] = &modules[..] else { return Err(order()) };
        if transformer.name != "Transformer" || pooling.name != "Pooling" {
            return Err(order());
        }

        let mut files = Vec::new();
        let mut config = |module: &Module| {
            let file = module.path.join("config.json");
            let object = Object::read_or_empty(&folder.join(&file));
            if folder.join(&file).is_file() {
                files.push(file);
            }
            object
        };
        let pooling = {
            let object = config(pooling)?;
            let parsed = PoolingConfig::from_config(&object)?;
            (object, parsed)
        };
        let mut after = Vec::new();
        for module in rest {
            after.push(match module.name.as_str() {
                "Dense" => {
                    let object = config(module)?;
                    Step::Dense(DenseConfig::from_config(&object, &folder.join(&module.path))?)
                }
                "Normalize" => {
                    let object = config(module)?;
                    embedding_only(&object)?;
                    Step::Normalize
                }
                _ => return Err(order()),
            });
        }
        Ok(Self {
            transformer: folder.join(&transformer.path),
            pooling: Some(pooling),
            after,
            files,
        })
    }
}

/// Refuses a module that works on something other than the embedding.
pub(crate) fn embedding_only(config: &Object) -> Result<()> {
    for key in ["module_input_name", "module_output_name"] {
        if let Some(name) = config.text(key)?
            && name != "sentence_embedding"
        {
            return Err(
                config.error(key, format!("is `{name}`; only `sentence_embedding` is supported"))
            );
        }
    }
    Ok(())
}

/// One entry of `modules.json`.
struct Module {
    /// Last part of the class's name.
    name: String,
    /// Its folder within the model's.
    path: PathBuf,
}

impl Module {
    fn parse(file: &Path, value: &Value) -> Result<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let class = text("type").ok_or_else(|| {
            Error::key(file, "type", "of a module is missing; the class's name is expected")
        })?;
        let name = class.rsplit('.').next().unwrap_or(class);
        if !class.starts_with("sentence_transformers.") {
            return Err(Error::key(
                file,
                "type",
                format!(
                    "is `{class}`, a class of the publisher's own; supported are Transformer, \
                     Pooling, Dense and Normalize of sentence_transformers"
                ),
            ));
        }
        let path = Path::new(text("path").unwrap_or(""));
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::key(
                file,
                "path",
                format!("is `{}`, which leaves the model's folder", path.display()),
            ));
        }
        Ok(Self { name: name.into(), path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(modules: &str) -> Result<Chain> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("modules.json"), modules).unwrap();
        Chain::read(folder.path())
    }

    fn module(class: &str, path: &str) -> String {
        format!(r#"{{"idx": 0, "name": "0", "path": "{path}", "type": "{class}"}}"#)
    }

    const TRANSFORMER: &str = "sentence_transformers.models.Transformer";
    const POOLING: &str = "sentence_transformers.sentence_transformer.modules.pooling.Pooling";

    #[test]
    fn old_and_new_class_names_are_read() {
        let list = [
            module(TRANSFORMER, ""),
            module(POOLING, "1_Pooling"),
            module("sentence_transformers.models.Normalize", "2_Normalize"),
        ];
        let chain = chain(&format!("[{}]", list.join(","))).unwrap();
        assert!(chain.normalizes());
        assert_eq!(chain.pooling.unwrap().1, PoolingConfig::default());
    }

    #[test]
    fn other_modules_are_refused_by_name() {
        let lstm = module("sentence_transformers.models.LSTM", "1_LSTM");
        let message =
            chain(&format!("[{},{lstm}]", module(TRANSFORMER, ""))).unwrap_err().to_string();
        assert!(message.contains("Transformer, LSTM"), "{message}");
        let own = module("custom_st.Transformer", "");
        let message = chain(&format!("[{own}]")).unwrap_err().to_string();
        assert!(message.contains("custom_st.Transformer"), "{message}");
        let escape = module(TRANSFORMER, "../elsewhere");
        let message = chain(&format!("[{escape}]")).unwrap_err().to_string();
        assert!(message.contains("leaves the model's folder"), "{message}");
        assert!(chain("{}").is_err());
        assert!(chain("[]").is_err());
        assert!(chain("[3]").is_err());
    }
}
