//! Encoders with sizes of the user's own.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Architecture;
use crate::error::{Error, Result};

/// What the data decides.
const DECIDED: [&str; 6] =
    ["family", "size", "normalization", "vocabulary", "max_tokens", "causal"];

impl Architecture {
    /// The same encoder with other sizes, by the names of its definition: `stages` of
    /// [`ShiftMixer`](super::ShiftMixer) as a list of numbers, `layers.width` of
    /// [`VisionTransformer`](super::VisionTransformer) as a number. What the data decides,
    /// such as the number of channels, cannot be changed.
    ///
    /// # Errors
    /// [`Error::Pretrain`] when there is no such size, or a value is of another type.
    pub fn configured(self, sizes: &BTreeMap<String, Value>) -> Result<Self> {
        if sizes.is_empty() {
            return Ok(self);
        }
        let name = self.name();
        let bad =
            |reason: String| Error::Pretrain(format!("a {name} cannot be configured: {reason}"));
        let mut definition = serde_json::to_value(&self).map_err(|e| bad(e.to_string()))?;
        for (size, value) in sizes {
            let Some(entry) = definition.as_object_mut().and_then(|all| find(all, size)) else {
                let known = definition.as_object().map(|all| names(all, "")).unwrap_or_default();
                return Err(bad(format!("it has no `{size}`, only {}", known.join(", "))));
            };
            *entry = value.clone();
        }
        serde_json::from_value(definition).map_err(|error| bad(error.to_string()))
    }
}

/// The entry of a name with points between its levels.
fn find<'a>(all: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Value> {
    match name.split_once('.') {
        Some((outer, inner)) => find(all.get_mut(outer)?.as_object_mut()?, inner),
        None if DECIDED.contains(&name) => None,
        None => all.get_mut(name).filter(|value| !value.is_object()),
    }
}

fn names(all: &Map<String, Value>, prefix: &str) -> Vec<String> {
    let known = all.iter().filter(|(name, _)| !DECIDED.contains(&name.as_str()));
    known
        .flat_map(|(name, value)| match value {
            Value::Object(inner) => names(inner, &format!("{prefix}{name}.")),
            _ => vec![format!("{prefix}{name}")],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::encoders::{Family, Normalization, Size};

    fn encoder(family: Family) -> Architecture {
        let normalization = Normalization { mean: vec![72.0], deviation: vec![89.0] };
        Size::Tiny.image(family, [28, 28, 1], normalization)
    }

    #[test]
    fn sizes_are_replaced_at_every_level() {
        let sizes = BTreeMap::from([("layers.width".to_owned(), json!(192))]);
        let Architecture::VisionTransformer(changed) =
            encoder(Family::VisionTransformer).configured(&sizes).unwrap()
        else {
            panic!("another family");
        };
        assert_eq!((changed.layers.width, changed.layers.layers), (192, 4));
        let sizes = BTreeMap::from([("stages".to_owned(), json!([32, 64, 96]))]);
        let Architecture::ShiftMixer(changed) =
            encoder(Family::ShiftMixer).configured(&sizes).unwrap()
        else {
            panic!("another family");
        };
        assert_eq!(changed.stages, [32, 64, 96]);
    }

    #[test]
    fn what_cannot_be_set_is_named() {
        for (size, value) in
            [("width", json!(3)), ("size", json!([1, 1, 1])), ("stages", json!("wide"))]
        {
            let sizes = BTreeMap::from([(size.to_owned(), value)]);
            let error = encoder(Family::ShiftMixer).configured(&sizes).unwrap_err().to_string();
            assert!(error.contains("shift-mixer"), "{error}");
            let known = size == "stages" || error.contains("patch, stages");
            assert!(known || error.contains("blocks"), "{error}");
        }
    }
}
