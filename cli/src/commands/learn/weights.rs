//! How much the classes count.

use std::str::FromStr;

use offshoot_adapters::{ClassWeights, Classes};

use crate::failure::{Failure, Result};

/// Weights of classes as the command line says them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Weights {
    /// Every class as much as any other.
    Balanced,
    /// These as much, others 1.
    Named(Vec<(String, f64)>),
}

impl FromStr for Weights {
    type Err = String;

    /// `balanced`, or `LABEL=WEIGHT` with commas between them. A label may hold commas and equals
    /// signs: it ends at the last one before a number.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "balanced" {
            return Ok(Self::Balanced);
        }
        let (mut named, mut held) = (Vec::<(String, f64)>::new(), String::new());
        for part in text.split(',') {
            held.push_str(part);
            let weight = held.rsplit_once('=').and_then(|(label, weight)| {
                let weight = weight.trim().parse::<f64>().ok()?;
                Some((label.trim().to_owned(), weight))
            });
            match weight {
                Some((label, weight)) if weight > 0.0 && weight.is_finite() => {
                    if named.iter().any(|(other, _)| *other == label) {
                        return Err(format!("{label:?} has two weights"));
                    }
                    named.push((label, weight));
                    held.clear();
                }
                Some((label, weight)) => {
                    return Err(format!(
                        "the weight of {label:?} is {weight}, and must be positive"
                    ));
                }
                None => held.push(','),
            }
        }
        match held.is_empty() && !named.is_empty() {
            true => Ok(Self::Named(named)),
            false => Err("it must be balanced, or LABEL=WEIGHT with commas between, such as \
                          spam=0.5,work=2"
                .to_owned()),
        }
    }
}

impl Weights {
    /// One for each class.
    ///
    /// # Errors
    /// When one is of no class.
    pub(super) fn of(&self, classes: &Classes) -> Result<ClassWeights> {
        let Self::Named(named) = self else { return Ok(ClassWeights::Balanced) };
        let mut weights = vec![1.0; classes.len()];
        for (label, weight) in named {
            let own = classes.index(label).and_then(|class| weights.get_mut(class));
            *own.ok_or_else(|| {
                Failure::data(format!("--class-weights names {label:?}, and no example is of it"))
            })? = *weight;
        }
        Ok(ClassWeights::Each(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read() {
        let named = |text: &str| match text.parse::<Weights>() {
            Ok(Weights::Named(named)) => named,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!("balanced".parse(), Ok(Weights::Balanced));
        assert_eq!(named("a=2, b c=0.5"), [("a".to_owned(), 2.0), ("b c".to_owned(), 0.5)]);
        assert_eq!(named("x,y=2,p=q=3"), [("x,y".to_owned(), 2.0), ("p=q".to_owned(), 3.0)]);
        for bad in ["", "a", "a=", "a=2,b", "a=0", "a=-1", "a=inf", "a=1,a=2", "a=NaN"] {
            assert!(bad.parse::<Weights>().is_err(), "{bad}");
        }
        let classes = Classes::new(vec!["a".into(), "b".into()]).unwrap();
        let weights = |text: &str| text.parse::<Weights>().unwrap().of(&classes);
        assert_eq!(weights("b=3").unwrap(), ClassWeights::Each(vec![1.0, 3.0]));
        assert_eq!(weights("balanced").unwrap(), ClassWeights::Balanced);
        assert!(weights("c=3").is_err());
    }
}
