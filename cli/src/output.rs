//! Standard output, whose reader may leave at any time.

use std::io::{self, StdoutLock, Write};

use serde::Serialize;

use crate::failure::{Failure, Result};

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::stdout(&error))
}

/// Writes one JSON value and a line break to standard output, over several lines
/// if `pretty`.
pub(crate) fn print_json(value: &impl Serialize, pretty: bool) -> Result {
    let text =
        if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let mut text = text.map_err(|error| {
        Failure::new(crate::failure::Code::Bug, format!("the result is not JSON: {error}"))
    })?;
    text.push('\n');
    print(&text)
}

/// Standard output with a buffer of its own.
pub(crate) fn buffered() -> io::BufWriter<StdoutLock<'static>> {
    io::BufWriter::with_capacity(1 << 16, io::stdout().lock())
}
