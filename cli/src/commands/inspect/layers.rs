//! What stands after each block of an encoder.

use std::path::Path;

use ndarray::Array2;
use offshoot::Encoder;
use offshoot::bundle::Bundle;
use offshoot_export::layers::Layers;
use offshoot_models::inspect::report::{Sample, order};

use super::Args;
use super::sample::{Drawn, name};
use crate::failure::{Code, Failure, Result};
use crate::inputs;
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};

/// Inputs that are looked at.
const ROWS: usize = 600;
/// Blocks that are looked at.
const BLOCKS: usize = 6;

/// Adds to a sample what stands after each block; nothing where the graph has no blocks, or an
/// adapter changes it.
pub(super) fn look(
    args: &Args,
    drawn: &Drawn,
    bundle: &Path,
    encoder: &Encoder,
    sample: &mut Sample,
    interrupt: &Interrupt,
) -> Result {
    if args.encoder.adapted() {
        return Ok(());
    }
    let Some(mut layers) = Layers::open(&Bundle::open(bundle)?, BLOCKS)? else { return Ok(()) };
    let mut rows = order(drawn.rows.len(), args.seed);
    rows.truncate(ROWS);
    let mut values: Vec<Vec<f32>> = vec![Vec::new(); layers.count()];
    let what = format!("Looking into {}", name(bundle));
    let unit = Unit::Count(encoder.manifest().modality.plural());
    let mut progress = Progress::start(what, unit, Some(rows.len() as u64));
    for row in rows.iter().filter_map(|&row| drawn.rows.get(row)) {
        let input = inputs::comparable(row, Some(encoder.manifest()))?;
        for (all, one) in values.iter_mut().zip(layers.embed(encoder, &input)?) {
            all.extend(one);
        }
        progress.add(1);
        interrupt.check("there is no report")?;
    }
    drop(progress);
    let table = |values: Vec<f32>| {
        let width = values.len() / rows.len().max(1);
        Array2::from_shape_vec((rows.len(), width), values)
            .map_err(|error| Failure::new(Code::Bug, error.to_string()))
    };
    sample.layers = values.into_iter().map(table).collect::<Result<_>>()?;
    sample.layer_rows = rows;
    Ok(())
}
