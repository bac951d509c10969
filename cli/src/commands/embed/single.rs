//! One input, as fast as a process can start.

use std::path::Path;

use offshoot::Encoder;
use offshoot::bundle::Modality;
use serde::Serialize;

use super::Args;
use super::rows::{RowOf, Values};
use crate::failure::{Failure, Result};
use crate::inputs::{Embedder, Row};
use crate::output;

#[derive(Serialize)]
struct One<'a> {
    /// The text, or where the image or the signal lies.
    text: &'a str,
    /// Tokens of a text, special ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<usize>,
    /// Tokens of a text that did not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<usize>,
    embedding: RowOf<'a>,
}

#[derive(Serialize)]
struct EachToken<'a> {
    text: &'a str,
    /// Ids of the tokens, special ones included.
    ids: Vec<u32>,
    /// The vector of each.
    vectors: Vec<Vec<f32>>,
}

pub(super) fn run(input: &str, args: &Args) -> Result {
    let encoder = args.encoder.open_for_one(&args.bundle)?;
    let options = args.embed.options(args.truncate);
    if args.each_token {
        let vectors = encoder.token_vectors(&[input], &options)?;
        let vectors = vectors.iter().flat_map(|rows| rows.outer_iter().map(|row| row.to_vec()));
        let ids = encoder.tokenize(input, &options)?.ids;
        return output::print_json(
            &EachToken { text: input, ids, vectors: vectors.collect() },
            false,
        );
    }
    let reads_text = encoder.manifest().modality == Modality::Text;
    let (text, embedded) = if reads_text {
        (input.to_owned(), encoder.embed_with(&[input], &options)?)
    } else {
        let row = only_row(input, args, &encoder)?;
        let mut embedder = Embedder::new(&encoder, &options);
        let embedded = embedder.embed(std::slice::from_ref(&row))?;
        embedder.note();
        (row.shown, embedded)
    };
    let values = Values::new(embedded.vectors(), args.precision);
    let one = One {
        text: &text,
        tokens: reads_text.then(|| embedded.tokens()),
        cut: reads_text.then(|| embedded.cut().first().copied().unwrap_or(0)),
        embedding: values.row(0),
    };
    output::print_json(&one, false)?;
    // The process ends now; the system takes the memory back faster than destructors.
    std::mem::forget(encoder);
    Ok(())
}

/// The only row of a file.
fn only_row(input: &str, args: &Args, encoder: &Encoder) -> Result<Row> {
    let mut rows = args.texts.open(encoder.manifest(), Some(Path::new(input)), None)?;
    match (rows.next(), rows.next()) {
        (Some(row), None) => row,
        (first, _) => Err(Failure::usage(format!(
            "{input} holds {} {}; leave --one out to embed all that a file holds",
            if first.is_none() { "no" } else { "several" },
            encoder.manifest().modality.plural()
        ))),
    }
}
