//! Settings of views by name: a preset, and single numbers in place of its own.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::tokens::TokenAugmentation;
use super::{ImageAugmentation, SignalAugmentation};
use crate::data::Kind;
use crate::error::{Error, Result};

/// Named settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Every step off.
    None,
    /// [`ImageAugmentation::natural`].
    Natural,
    /// [`ImageAugmentation::grey_shapes`].
    GreyShapes,
    /// [`SignalAugmentation::sensors`].
    Sensors,
    /// [`SignalAugmentation::shapes`].
    Shapes,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 5] =
        [Self::None, Self::Natural, Self::GreyShapes, Self::Sensors, Self::Shapes];

    /// Its name, as commands write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Natural => "natural",
            Self::GreyShapes => "grey-shapes",
            Self::Sensors => "sensors",
            Self::Shapes => "shapes",
        }
    }

    /// The preset of a name.
    ///
    /// # Errors
    /// [`Error::Argument`] with the names that there are.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|preset| preset.name()).collect();
            Error::Argument(format!(
                "`{name}` is neither NAME=VALUE nor a preset; the presets are {}",
                names.join(", ")
            ))
        })
    }

    fn unsuitable(self, kind: Kind, suitable: &str) -> Error {
        Error::Argument(format!(
            "the augmentation `{}` is not for {}; for them there is {suitable}",
            self.name(),
            kind.plural()
        ))
    }
}

/// How views differ from those that suit the data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AugmentationSettings {
    /// Where they begin; else the preset that suits the data.
    pub preset: Option<Preset>,
    /// Fields of [`ImageAugmentation`], [`SignalAugmentation`] or [`TokenAugmentation`] by name,
    /// and their values.
    pub values: BTreeMap<String, Value>,
}

impl AugmentationSettings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.preset.is_none() && self.values.is_empty()
    }

    /// Sets views of images.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name, and a preset or value that does not suit.
    pub fn images(&self, usual: &ImageAugmentation) -> Result<ImageAugmentation> {
        let begin = match self.preset {
            None => usual.clone(),
            Some(Preset::None) => ImageAugmentation::none(),
            Some(Preset::Natural) => ImageAugmentation::natural(),
            Some(Preset::GreyShapes) => ImageAugmentation::grey_shapes(),
            Some(other) => return Err(other.unsuitable(Kind::Image, "natural, grey-shapes, none")),
        };
        let set = self.over(begin)?;
        set.validate()?;
        Ok(set)
    }

    /// Sets views of signals.
    ///
    /// # Errors
    /// As [`Self::images`].
    pub fn signals(&self, usual: &SignalAugmentation) -> Result<SignalAugmentation> {
        let begin = match self.preset {
            None => usual.clone(),
            Some(Preset::None) => SignalAugmentation::none(),
            Some(Preset::Sensors) => SignalAugmentation::sensors(),
            Some(Preset::Shapes) => SignalAugmentation::shapes(),
            Some(other) => return Err(other.unsuitable(Kind::Signal, "sensors, shapes, none")),
        };
        let set = self.over(begin)?;
        set.validate()?;
        Ok(set)
    }

    /// Sets views of texts.
    ///
    /// # Errors
    /// As [`Self::images`].
    pub fn tokens(&self, usual: TokenAugmentation) -> Result<TokenAugmentation> {
        let begin = match self.preset {
            None => usual,
            Some(Preset::None) => TokenAugmentation { dropout: 0.0, span: 1.0 },
            Some(other) => return Err(other.unsuitable(Kind::Text, "none")),
        };
        let set = self.over(begin)?;
        set.validate()?;
        Ok(set)
    }

    fn over<T: Serialize + DeserializeOwned>(&self, begin: T) -> Result<T> {
        let bad = |reason: String| Error::Argument(format!("augmentation: {reason}"));
        let mut all = serde_json::to_value(begin).map_err(|e| bad(e.to_string()))?;
        if let Value::Object(fields) = &mut all {
            for (name, value) in &self.values {
                let Some(field) = fields.get_mut(name) else {
                    let known: Vec<&str> = fields.keys().map(String::as_str).collect();
                    return Err(bad(format!("there is no `{name}`, only {}", known.join(", "))));
                };
                *field = value.clone();
            }
        }
        serde_json::from_value(all).map_err(|error| bad(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(preset: Option<Preset>, values: Value) -> AugmentationSettings {
        let values = values.as_object().cloned().unwrap_or_default().into_iter().collect();
        AugmentationSettings { preset, values }
    }

    #[test]
    fn a_preset_and_single_values_are_set() {
        let usual = SignalAugmentation::sensors();
        assert_eq!(settings(None, json!({})).signals(&usual).unwrap(), usual);
        let set = settings(Some(Preset::Shapes), json!({"crop": [0.5, 0.9], "jitter": 0}));
        let expected =
            SignalAugmentation { crop: (0.5, 0.9), jitter: 0.0, ..SignalAugmentation::shapes() };
        assert_eq!(set.signals(&usual).unwrap(), expected);
        let set = settings(Some(Preset::None), json!({"flip": 0.5}));
        let expected = ImageAugmentation { flip: 0.5, ..ImageAugmentation::none() };
        assert_eq!(set.images(&ImageAugmentation::natural()).unwrap(), expected);
        let set = settings(None, json!({"span": 0.25})).tokens(TokenAugmentation::default());
        assert_eq!(set.unwrap().span, 0.25);
    }

    #[test]
    fn what_does_not_suit_is_refused_by_name() {
        let usual = SignalAugmentation::sensors();
        let refused =
            |settings: AugmentationSettings| settings.signals(&usual).unwrap_err().to_string();
        let error = refused(settings(Some(Preset::Natural), json!({})));
        assert!(error.contains("`natural` is not for signals") && error.contains("shapes"));
        let error = refused(settings(None, json!({"flip": 0.5})));
        assert!(error.contains("no `flip`") && error.contains("jitter"), "{error}");
        let error = refused(settings(None, json!({"jitter": "much"})));
        assert!(error.contains("augmentation"), "{error}");
        let error = refused(settings(None, json!({"mask": 1.5})));
        assert!(error.contains("`mask` must be a probability"), "{error}");
        assert!(Preset::named("colourful").unwrap_err().to_string().contains("grey-shapes"));
        let tokens = settings(None, json!({"span": 0})).tokens(TokenAugmentation::default());
        assert!(tokens.unwrap_err().to_string().contains("`span`"));
    }
}
