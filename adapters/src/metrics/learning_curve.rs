//! How a score grows with the number of labels.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::confusion::shown;
use crate::error::{Error, Result};

/// The scores of several draws at one number of labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LearningPoint {
    /// Labels, in the unit of the curve.
    pub labels: usize,
    /// Draws measured.
    pub draws: usize,
    /// Their mean score.
    pub mean: f64,
    /// Their standard deviation (n - 1), 0 of one draw.
    pub deviation: f64,
}

/// The points of one head or setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LearningSeries {
    /// What was measured.
    pub name: String,
    /// From few labels to many.
    pub points: Vec<LearningPoint>,
}

/// Scores against numbers of labels, of one or more heads.
///
/// ```
/// # use offshoot_adapters::metrics::LearningCurve;
/// let mut curve = LearningCurve::new("accuracy", "labels a class");
/// curve.add("ridge", 1, 0.5)?;
/// curve.add("ridge", 1, 0.7)?;
/// curve.add("ridge", 2, 0.8)?;
/// let series = curve.series();
/// assert_eq!(series[0].points[0].mean, 0.6);
/// # Ok::<(), offshoot_adapters::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LearningCurve {
    score: String,
    unit: String,
    /// Names in the order in which they came, with the scores at each number of labels.
    scores: Vec<(String, BTreeMap<usize, Vec<f64>>)>,
}

impl LearningCurve {
    /// An empty curve of a score ("accuracy") against labels of a unit ("labels a class").
    #[must_use]
    pub fn new(score: &str, unit: &str) -> Self {
        Self { score: score.to_owned(), unit: unit.to_owned(), scores: Vec::new() }
    }

    /// Adds the score of one draw.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a score that is not finite.
    pub fn add(&mut self, name: &str, labels: usize, score: f64) -> Result<()> {
        if !score.is_finite() {
            let expected = "a score must be a finite number";
            return Err(Error::Setting { name: "score", value: score, expected });
        }
        let position = self.scores.iter().position(|(known, _)| known == name);
        let position = position.unwrap_or_else(|| {
            self.scores.push((name.to_owned(), BTreeMap::new()));
            self.scores.len() - 1
        });
        self.scores[position].1.entry(labels).or_default().push(score);
        Ok(())
    }

    /// Name of the score.
    #[must_use]
    pub fn score(&self) -> &str {
        &self.score
    }

    /// Unit of the labels.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Means and deviations, in the order in which names were added.
    #[must_use]
    pub fn series(&self) -> Vec<LearningSeries> {
        let series = |(name, at): &(String, BTreeMap<usize, Vec<f64>>)| LearningSeries {
            name: name.clone(),
            points: at.iter().map(|(&labels, scores)| point(labels, scores)).collect(),
        };
        self.scores.iter().map(series).collect()
    }
}

fn point(labels: usize, scores: &[f64]) -> LearningPoint {
    let draws = scores.len();
    let mean = scores.iter().sum::<f64>() / draws as f64;
    let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    let deviation = if draws > 1 { (squares / (draws - 1) as f64).sqrt() } else { 0.0 };
    LearningPoint { labels, draws, mean, deviation }
}

impl Serialize for LearningCurve {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut curve = serializer.serialize_struct("LearningCurve", 3)?;
        curve.serialize_field("score", &self.score)?;
        curve.serialize_field("unit", &self.unit)?;
        curve.serialize_field("series", &self.series())?;
        curve.end()
    }
}

/// One line a number of labels, one column a name.
impl fmt::Display for LearningCurve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series = self.series();
        let names: Vec<String> = series.iter().map(|series| shown(&series.name)).collect();
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let width = longest.max("0.000 ± 0.000".chars().count());
        let unit = shown(&self.unit);
        let first = unit.chars().count().max(7);
        write!(f, "{unit:>first$}")?;
        names.iter().try_for_each(|name| write!(f, "  {name:>width$}"))?;
        writeln!(f)?;
        let mut labels: Vec<usize> =
            series.iter().flat_map(|s| s.points.iter().map(|p| p.labels)).collect();
        labels.sort_unstable();
        labels.dedup();
        for labels in labels {
            write!(f, "{labels:>first$}")?;
            for series in &series {
                let cell = match series.points.iter().find(|point| point.labels == labels) {
                    Some(point) => format!("{:.3} ± {:.3}", point.mean, point.deviation),
                    None => "-".to_owned(),
                };
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_prints_and_serialises() {
        let mut curve = LearningCurve::new("accuracy", "labels a class");
        for (name, labels, score) in [("b", 4, 0.75), ("a", 1, 0.5), ("b", 1, 0.25), ("b", 1, 0.75)]
        {
            curve.add(name, labels, score).unwrap();
        }
        let expected = "\
labels a class              b              a
             1  0.500 ± 0.354  0.500 ± 0.000
             4  0.750 ± 0.000              -
";
        assert_eq!(curve.to_string(), expected);
        let json = serde_json::to_value(&curve).unwrap();
        assert_eq!(json["series"][0]["points"][0]["draws"], 2);
        assert_eq!(json["series"][1]["name"], "a");
        assert!(matches!(curve.add("a", 1, f64::NAN), Err(Error::Setting { name: "score", .. })));
    }
}
