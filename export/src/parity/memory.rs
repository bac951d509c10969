//! Private memory that opening an encoder and one embedding take.

use std::path::Path;

use offshoot::OpenOptions;
use serde::Serialize;

use super::{Inputs, Pair, Sample};
use crate::error::Result;

/// Private memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Memory {
    /// Added to a process that has ONNX Runtime loaded, by opening the encoder, its
    /// prepared weights being there already, and embedding one sample.
    pub private_bytes: Pair,
}

/// Opens each encoder by itself. `None` where the system does not tell.
pub(super) fn measure(
    encoders: [(&Path, &OpenOptions); 2],
    samples: &[Sample],
) -> Result<Option<Memory>> {
    let first = samples.iter().take(1).map(|sample| &sample.input);
    let mut added = [0.0; 2];
    for (added, (path, options)) in added.iter_mut().zip(encoders) {
        let Some(before) = private() else { return Ok(None) };
        let encoder = options.open(path)?;
        Inputs::of(&encoder, first.clone())?.embed(&encoder)?;
        let Some(after) = private() else { return Ok(None) };
        *added = after.saturating_sub(before) as f64;
        encoder.close();
    }
    Ok(Some(Memory { private_bytes: Pair { before: added[0], after: added[1] } }))
}

/// Pages of this process that are in no file, in bytes.
fn private() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}
