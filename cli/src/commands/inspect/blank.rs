//! What the same network does without what it learned.

use std::path::Path;
use std::sync::Arc;

use offshoot_models::data::Example;
use offshoot_models::inspect::measures::efficiency::draws::Draws;
use offshoot_models::inspect::report::{Sample, labels_in_order, order};
use offshoot_models::pretrain::Blank;

use super::Args;
use super::sample::Drawn;
use crate::encoder::Truncate;
use crate::failure::{Code, Failure, Result};
use crate::interrupt::Interrupt;
use crate::progress;

/// Adds the same network untrained to a sample with labels, and trained on them from scratch
/// where that was asked for. Says where the network is not known.
pub(super) fn compare(
    args: &Args,
    drawn: &Drawn,
    bundle: &Path,
    sample: &mut Sample,
    interrupt: &Interrupt,
) -> Result {
    let Some(labels) = &sample.labels else { return Ok(()) };
    let labels = labels_in_order(labels, args.seed);
    let Some(draws) = Draws::of(&labels, args.seed) else { return Ok(()) };
    let Some(blank) = Blank::of(bundle)? else {
        sample.notes.push(format!(
            "{} does not say how to build its network anew, so there is no comparison with the \
             same network untrained or trained from scratch.",
            sample.encoder
        ));
        return Ok(());
    };
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::new(Code::Surroundings, format!("no temporary folder: {error}"))
    })?;
    let path = folder.path().join("untrained.offshoot");
    blank.write(&path)?;
    let encoder = args.encoder.open_once(&path)?;
    let options = args.embed.options(Truncate::Cut);
    sample.untrained = Some(drawn.embed(&path, &encoder, &options, interrupt)?);
    if args.from_scratch {
        let examples = drawn.examples(encoder.manifest())?;
        let in_order: Arc<[Example]> =
            order(examples.len(), args.seed).into_iter().map(|i| examples[i].clone()).collect();
        progress::say(&format!("training the network of {} on labels alone", sample.encoder));
        sample.from_scratch = Some(blank.from_scratch(&in_order, &draws, &interrupt.flag())?);
    }
    Ok(())
}
