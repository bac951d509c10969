//! The pooling module of a sentence-transformers folder.

use offshoot::bundle::Pooling;

use super::json::Object;
use crate::error::{Error, Result};
use crate::graph::blocks::Pool;
use crate::graph::{Graph, Value};

/// How the token vectors of a row become one vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolingConfig {
    /// One pool, or several whose results stand side by side.
    pub(crate) pools: Vec<Pool>,
    /// Width of a token vector, where the folder says it.
    pub(crate) width: Option<usize>,
    /// Whether the tokens of a prompt are pooled with the others.
    pub(crate) include_prompt: bool,
}

/// The older keys, in the order in which sentence-transformers joins their results.
const FLAGS: [(&str, &str); 6] = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
];

impl Default for PoolingConfig {
    fn default() -> Self {
        Self { pools: vec![Pool::Mean], width: None, include_prompt: true }
    }
}

impl PoolingConfig {
    /// Reads the module's `config.json`, with either the newer key `pooling_mode`
    /// or the older flags.
    pub(crate) fn from_config(config: &Object) -> Result<Self> {
        let mut names: Vec<(&str, String)> = Vec::new();
        match config.get("pooling_mode") {
            Some(serde_json::Value::String(name)) => names.push(("pooling_mode", name.clone())),
            Some(serde_json::Value::Array(list)) if !list.is_empty() => {
                for name in list {
                    let name = name.as_str().ok_or_else(|| {
                        config.error("pooling_mode", format!("holds `{name}`, not a name"))
                    })?;
                    names.push(("pooling_mode", name.into()));
                }
            }
            Some(other) => {
                return Err(config.error(
                    "pooling_mode",
                    format!("is `{other}`; a name or a list of names is expected"),
                ));
            }
            None => {
                for (key, name) in FLAGS {
                    if config.bool(key)?.unwrap_or(false) {
                        names.push((key, name.into()));
                    }
                }
                if names.is_empty() {
                    names.push(("pooling_mode", "mean".into()));
                }
            }
        }
        let pools = names
            .iter()
            .map(|(key, name)| {
                pool_named(name).ok_or_else(|| {
                    config.error(
                        key,
                        format!(
                            "asks for `{name}` pooling; supported are cls, max, mean, \
                             mean_sqrt_len_tokens and lasttoken"
                        ),
                    )
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let width = match config.count("embedding_dimension")? {
            Some(width) => Some(width),
            None => config.count("word_embedding_dimension")?,
        };
        let include_prompt = config.bool("include_prompt")?.unwrap_or(true);
        Ok(Self { pools, width, include_prompt })
    }

    /// What the manifest says of this pooling.
    pub(crate) fn described(&self) -> Pooling {
        match self.pools[..] {
            [Pool::Mean] => Pooling::Mean,
            [Pool::Cls] => Pooling::Cls,
            [Pool::LastToken] => Pooling::LastToken,
            [Pool::Max] => Pooling::Max,
            [Pool::MeanSqrtLen] => Pooling::MeanSqrtLen,
            _ => Pooling::Concatenated,
        }
    }

    /// Pools `tokens` `[batch, tokens, width]` to `[batch, pools · width]`.
    pub(crate) fn apply(&self, graph: &mut Graph, tokens: Value, mask: Value) -> Result<Value> {
        graph.in_scope("pooling", |g| {
            let parts = self
                .pools
                .iter()
                .map(|&pool| g.pool(tokens, mask, pool))
                .collect::<Result<Vec<_>>>()?;
            g.concat(&parts, -1)
        })
    }

    /// Refuses a pooling that leaves out the prompt's tokens where there are
    /// prompts: the graph knows only which tokens are real.
    pub(crate) fn check_prompts(&self, config: &Object, has_prompts: bool) -> Result<()> {
        if self.include_prompt || !has_prompts {
            return Ok(());
        }
        Err(Error::key(
            config.path(),
            "include_prompt",
            "is false and the folder has prompts; encoders whose pooling leaves out the prompt's \
             tokens are not supported",
        ))
    }
}

fn pool_named(name: &str) -> Option<Pool> {
    Some(match name {
        "cls" => Pool::Cls,
        "max" => Pool::Max,
        "mean" => Pool::Mean,
        "mean_sqrt_len_tokens" => Pool::MeanSqrtLen,
        "lasttoken" => Pool::LastToken,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn pooling(text: &str) -> Result<PoolingConfig> {
        let config = Object::parse(Path::new("1_Pooling/config.json"), text.as_bytes())?;
        PoolingConfig::from_config(&config)
    }

    #[test]
    fn old_flags_keep_the_order_of_the_library() {
        let both = pooling(
            r#"{"word_embedding_dimension": 8, "pooling_mode_mean_tokens": true,
                "pooling_mode_lasttoken": true, "pooling_mode_cls_token": true}"#,
        )
        .unwrap();
        assert_eq!(both.pools, [Pool::Cls, Pool::Mean, Pool::LastToken]);
        assert_eq!(both.width, Some(8));
        assert_eq!(both.described(), Pooling::Concatenated);
    }

    #[test]
    fn the_newer_key_wins_and_keeps_its_own_order() {
        let newer = pooling(
            r#"{"embedding_dimension": 4, "pooling_mode": ["mean", "cls"],
                "pooling_mode_max_tokens": true}"#,
        )
        .unwrap();
        assert_eq!(newer.pools, [Pool::Mean, Pool::Cls]);
        assert_eq!(pooling("{}").unwrap(), PoolingConfig::default());
    }

    #[test]
    fn unsupported_pooling_is_refused_by_name() {
        let message =
            pooling(r#"{"pooling_mode_weightedmean_tokens": true}"#).unwrap_err().to_string();
        assert!(
            message.contains("`pooling_mode_weightedmean_tokens` asks for `weightedmean`"),
            "{message}"
        );
        assert!(pooling(r#"{"pooling_mode": 3}"#).is_err());
        assert!(pooling(r#"{"pooling_mode": []}"#).is_err());
        assert!(pooling(r#"{"pooling_mode": [3]}"#).is_err());
    }

    #[test]
    fn prompts_that_are_not_pooled_are_refused() {
        let config =
            Object::parse(Path::new("1_Pooling/config.json"), br#"{"include_prompt": false}"#)
                .unwrap();
        let pooling = PoolingConfig::from_config(&config).unwrap();
        assert!(pooling.check_prompts(&config, false).is_ok());
        assert!(pooling.check_prompts(&config, true).is_err());
    }
}
