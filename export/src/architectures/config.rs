//! Reads `config.json` key by key.

use std::path::Path;

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::graph::blocks::Activation;

/// An encoder's configuration, and the file it was read from for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Config<'a> {
    pub(super) path: &'a Path,
    pub(super) json: &'a Json,
}

impl<'a> Config<'a> {
    fn get(&self, key: &str) -> Option<&'a Json> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn error(&self, key: &str, reason: impl Into<String>) -> Error {
        Error::key(self.path, key, reason)
    }

    /// A size from 1 to 2³¹ − 1.
    pub(super) fn size(&self, key: &str) -> Result<usize> {
        let Some(value) = self.get(key) else {
            return Err(self.error(key, "is missing; a whole number is needed"));
        };
        self.checked_size(key, value)
    }

    /// As [`Self::size`], `default` where the key is missing.
    pub(super) fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        self.get(key).map_or(Ok(default), |value| self.checked_size(key, value))
    }

    fn checked_size(&self, key: &str, value: &Json) -> Result<usize> {
        value
            .as_u64()
            .filter(|size| (1..1 << 31).contains(size))
            .and_then(|size| usize::try_from(size).ok())
            .ok_or_else(|| {
                self.error(key, format!("is {value}, not a number from 1 to 2147483647"))
            })
    }

    /// The padding's id, 1 where it is not stated. Positions are counted from behind
    /// it, so it must leave some of the table's rows.
    pub(super) fn padding_before(&self, positions: usize) -> Result<usize> {
        const KEY: &str = "pad_token_id";
        let default = Json::from(1);
        let value = self.get(KEY).unwrap_or(&default);
        let padding = value.as_u64().and_then(|id| usize::try_from(id).ok());
        padding.filter(|id| id.checked_add(1).is_some_and(|next| next < positions)).ok_or_else(
            || {
                self.error(
                    KEY,
                    format!(
                        "is {value}; the {positions} of max_position_embeddings leave no position \
                         behind it"
                    ),
                )
            },
        )
    }

    /// A number that is positive as a 32-bit float, `default` where the key is missing.
    pub(super) fn positive_or(&self, key: &str, default: f64) -> Result<f64> {
        self.get(key).map_or(Ok(default), |value| {
            value
                .as_f64()
                .filter(|number| *number as f32 > 0.0 && (*number as f32).is_finite())
                .ok_or_else(|| self.error(key, format!("is {value}, not a positive 32-bit float")))
        })
    }

    /// A number of layers. Far more than any encoder has are refused before they are
    /// counted one by one.
    pub(super) fn layers(&self, key: &str) -> Result<usize> {
        const MOST: usize = 4096;
        let layers = self.size(key)?;
        if layers > MOST {
            return Err(self.error(key, format!("is {layers}; at most {MOST} are read")));
        }
        Ok(layers)
    }

    /// A truth value, `default` where the key is missing.
    pub(super) fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        self.get(key).map_or(Ok(default), |value| {
            value.as_bool().ok_or_else(|| self.error(key, format!("is {value}, not true or false")))
        })
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key)
            .map(|value| {
                value.as_str().ok_or_else(|| self.error(key, format!("is {value}, not a text")))
            })
            .transpose()
    }

    pub(super) fn list(&self, key: &str) -> Result<Option<&'a [Json]>> {
        self.get(key)
            .map(|value| {
                value
                    .as_array()
                    .map(Vec::as_slice)
                    .ok_or_else(|| self.error(key, format!("is {value}, not a list")))
            })
            .transpose()
    }

    /// The object under `key`. Messages name its keys by themselves.
    pub(super) fn object(&self, key: &str) -> Result<Option<Self>> {
        self.get(key)
            .map(|json| {
                if json.is_object() {
                    Ok(Self { json, ..*self })
                } else {
                    Err(self.error(key, format!("is {json}, not an object")))
                }
            })
            .transpose()
    }

    /// The activation function under `key`, `default` where the key is missing.
    pub(super) fn activation(&self, key: &str, default: Activation) -> Result<Activation> {
        self.text(key)?.map_or(Ok(default), |name| {
            Activation::from_name(name).ok_or_else(|| {
                self.error(key, format!("is `{name}`; supported are {}", Activation::NAMES))
            })
        })
    }

    /// Refuses a key whose value is not `wanted`, where it is present.
    pub(super) fn only(&self, key: &str, wanted: &Json) -> Result<()> {
        match self.get(key) {
            Some(value) if value != wanted => {
                Err(self.error(key, format!("is {value}; only {wanted} is supported")))
            }
            _ => Ok(()),
        }
    }

    /// Heads of attention that divide the width.
    pub(super) fn heads(&self, key: &str, width: usize) -> Result<usize> {
        let heads = self.size(key)?;
        if width.is_multiple_of(heads) {
            Ok(heads)
        } else {
            Err(self.error(key, format!("is {heads}, which does not divide the width {width}")))
        }
    }
}
