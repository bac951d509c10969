//! One text, as fast as a process can start.

use serde::Serialize;

use super::Args;
use super::rows::{RowOf, Values};
use crate::failure::Result;
use crate::output;

#[derive(Serialize)]
struct One<'a> {
    text: &'a str,
    /// Tokens, special ones included.
    tokens: usize,
    /// Tokens that did not fit.
    cut: usize,
    embedding: RowOf<'a>,
}

pub(super) fn run(text: &str, args: &Args) -> Result {
    let encoder = args.encoder.open(&args.bundle)?;
    let embedded = encoder.embed_with(&[text], &args.embed.options(args.truncate))?;
    let values = Values::new(embedded.vectors(), args.precision);
    let one = One {
        text,
        tokens: embedded.tokens(),
        cut: embedded.cut().first().copied().unwrap_or(0),
        embedding: values.row(0),
    };
    output::print_json(&one, false)?;
    // The process ends now; the system takes the memory back faster than destructors.
    std::mem::forget(encoder);
    Ok(())
}
