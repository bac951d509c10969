//! Labelled rows of a table on their way into a learner.

use std::path::Path;

use ndarray::{Array2, ArrayView2, Axis};
use offshoot::learner::{NewExample, label_problem};
use offshoot::{EmbedOptions, Encoder};

use crate::failure::{Code, Failure, Result};
use crate::inputs::{self, Embedder, Row};
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};

/// Refuses labels that no learner takes, before their rows are embedded.
pub(crate) fn check_labels(rows: &[Row]) -> Result {
    for row in rows {
        if let Some(problem) = row.label.as_deref().and_then(label_problem) {
            return Err(Failure::data(format!("row {} cannot be taught: {problem}", row.number)));
        }
    }
    Ok(())
}

/// Embeddings of rows, `[rows, dimensions]`.
pub(crate) fn embed(
    encoder: &Encoder,
    rows: &[Row],
    options: &EmbedOptions,
    interrupt: &Interrupt,
    interrupted: &str,
) -> Result<Array2<f32>> {
    let unit = Unit::Count(encoder.manifest().modality.plural());
    let mut progress = Progress::start("Embedding examples", unit, Some(rows.len() as u64));
    let mut parts: Vec<Array2<f32>> = Vec::new();
    let mut embedder = Embedder::new(encoder, options);
    for chunk in inputs::chunks(rows) {
        parts.push(embedder.embed(chunk)?.into_vectors());
        progress.add(chunk.len() as u64);
        interrupt.check(interrupted)?;
    }
    drop(progress);
    embedder.note();
    let views: Vec<ArrayView2<'_, f32>> = parts.iter().map(|part| part.view()).collect();
    ndarray::concatenate(Axis(0), &views)
        .map_err(|error| Failure::new(Code::Bug, error.to_string()))
}

/// The examples that rows and their embeddings are, all of the same weight.
pub(crate) fn examples(
    rows: &[Row],
    embeddings: &Array2<f32>,
    source: Option<&str>,
    weight: f64,
) -> Vec<NewExample> {
    rows.iter()
        .zip(embeddings.outer_iter())
        .map(|(row, embedding)| NewExample {
            label: row.label.clone(),
            weight,
            source: source.map(str::to_owned),
            text: Some(row.shown.clone()),
            ..NewExample::unlabelled(embedding.to_vec())
        })
        .collect()
}

/// What the source of a table's examples is called: the name of its file, if that is one.
pub(crate) fn source_name(table: &Path) -> Option<String> {
    let name = inputs::file(Some(table))?.file_name()?.to_str()?;
    (!name.chars().any(char::is_control)).then(|| name.to_owned())
}
