//! Examples to a Parquet file.

use std::path::Path;

use offshoot::learner::{ExampleFilter, Store};
use offshoot_models::examples::ExampleWriter;

use crate::failure::Result;
use crate::files::NewFile;
use crate::interrupt::Interrupt;

/// Writes examples of a learner, whole or not at all.
pub(super) fn write(
    store: &Store,
    filter: &ExampleFilter,
    output: &Path,
    interrupt: &Interrupt,
    interrupted: &str,
) -> Result {
    let file = NewFile::create(output)?;
    let mut writer = ExampleWriter::new(file, output, &store.info().encoder)?;
    for example in store.examples(filter) {
        writer.push(example?)?;
        interrupt.check(interrupted)?;
    }
    writer.finish()?.finish()
}
