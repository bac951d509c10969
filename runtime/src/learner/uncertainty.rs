//! How unsure a head is of a text: which one is best labelled next.

use std::fmt;
use std::str::FromStr;

/// A measure of doubt, from 0 for certainty to 1 for none of the classes over another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Uncertainty {
    /// `1 - (p₁ - p₂)`, for the two most likely classes: the label that moves the border
    /// between them (Scheffer, Decomain and Wrobel, 2001, *IDA*).
    #[default]
    Margin,
    /// `-Σ pₖ ln pₖ / ln K`: all K classes count (Shannon).
    Entropy,
}

impl Uncertainty {
    /// Every measure.
    pub const ALL: [Self; 2] = [Self::Margin, Self::Entropy];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Margin => "margin",
            Self::Entropy => "entropy",
        }
    }

    /// The doubt in the probabilities of one text. O(K).
    #[must_use]
    pub fn of(self, probabilities: impl IntoIterator<Item = f64>) -> f64 {
        let probabilities = probabilities.into_iter();
        match self {
            Self::Margin => {
                let (first, second) = probabilities.fold((0.0, 0.0), |(first, second), p| {
                    if p > first { (p, first) } else { (first, f64::max(second, p)) }
                });
                1.0 - (first - second)
            }
            Self::Entropy => {
                let (mut entropy, mut classes) = (0.0, 0u32);
                for p in probabilities {
                    // 0 ln 0 is 0.
                    entropy -= if p > 0.0 { p * p.ln() } else { 0.0 };
                    classes += 1;
                }
                if classes > 1 { (entropy / f64::from(classes).ln()).max(0.0) } else { 0.0 }
            }
        }
    }
}

impl fmt::Display for Uncertainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Uncertainty {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|measure| measure.name() == name)
            .ok_or_else(|| format!("unknown measure {name:?}: choose margin or entropy"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_is_0_for_certainty_and_1_for_equals() {
        for measure in Uncertainty::ALL {
            assert_eq!(measure.of([1.0, 0.0, 0.0]), 0.0);
            assert!((measure.of([0.25; 4]) - 1.0).abs() < 1e-12);
            assert_eq!(measure.to_string().parse(), Ok(measure));
        }
        assert!((Uncertainty::Margin.of([0.2, 0.5, 0.3]) - 0.8).abs() < 1e-12);
        // By hand: -(½ ln ½ + 2 · ¼ ln ¼) / ln 3.
        let expected = 1.5 * 2f64.ln() / 3f64.ln();
        assert!((Uncertainty::Entropy.of([0.5, 0.25, 0.25]) - expected).abs() < 1e-12);
    }
}
