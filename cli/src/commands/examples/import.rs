//! Examples from a Parquet or JSONL file.

use std::path::Path;

use offshoot::adapters::EncoderTag;
use offshoot::learner::{LearnerOptions, NewExample, Store, StoreInfo};
use offshoot_models::examples::ExampleReader;

use crate::failure::{Code, Failure, Result};
use crate::files::shell_path;
use crate::head::open_store;
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, grouped};

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "nothing was taught";

/// Teaches a learner the examples of a file, or makes it of them.
pub(super) fn run(learner: &Path, file: &Path) -> Result {
    let interrupt = Interrupt::listen();
    let exists = std::fs::symlink_metadata(learner).is_ok();
    let store = if exists { Some(open_store(learner)?) } else { None };
    let width = store.as_ref().map(|store| store.info().encoder.dimensions);
    let reader = ExampleReader::open(file, width)?;
    let encoder = reader.encoder().cloned();
    if let (Some(store), Some(found)) = (&store, &encoder) {
        check(learner, &store.info().encoder, file, found)?;
    }
    let examples = interrupt.at_once(Ending::saying(INTERRUPTED), || -> Result<_> {
        Ok(reader.collect::<offshoot_models::Result<Vec<NewExample>>>()?)
    })?;
    let count = examples.len() as u64;
    let total = match (store, encoder) {
        (Some(mut store), _) => {
            store.teach_many(&examples)?;
            store.len()?
        }
        (None, Some(encoder)) => {
            let head = LearnerOptions::default().head.name().to_owned();
            let info = StoreInfo { encoder, head, keeps_text: true };
            Store::create(learner, &info, examples)?.len()?
        }
        (None, None) => {
            return Err(Failure::usage(format!(
                "{} does not say whose embeddings it holds; name a learner that exists",
                shell_path(file)
            )));
        }
    };
    progress::say(&format!(
        "{}: {} examples taught, {} in all",
        shell_path(learner),
        grouped(count),
        grouped(total)
    ));
    Ok(())
}

/// Refuses embeddings of another encoder or another prompt.
fn check(learner: &Path, own: &EncoderTag, file: &Path, found: &EncoderTag) -> Result {
    if own.digest == found.digest && own.prompt == found.prompt {
        return Ok(());
    }
    let shown = |tag: &EncoderTag| {
        let prompt =
            tag.prompt.as_deref().map_or("no prompt".to_owned(), |p| format!("prompt {p:?}"));
        format!("{} (digest {}), {prompt}", tag.name, tag.digest)
    };
    Err(Failure::new(
        Code::Artifact,
        format!(
            "the embeddings of {} are those of {}, and {} is of {}; teach its texts with `offshoot \
             teach --from`",
            shell_path(file),
            shown(found),
            shell_path(learner),
            shown(own)
        ),
    ))
}
