//! Opening an encoder as the command line asks.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use offshoot::bundle::{Bundle, Manifest, Modality};
use offshoot::{
    Adapter, CacheState, EmbedOptions, Encoder, OpenOptions, Prompt, Truncation, WeightCache,
};

use crate::failure::{Failure, Result};
use crate::progress;

/// How the encoder is run. Common to all commands that open one.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How the encoder is run")]
pub(crate) struct EncoderArgs {
    /// Most threads that compute at once [default: as many as the process may use]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Where the weights prepared for this machine are kept; `off` prepares them anew in
    /// private memory each time [default: the user's cache folder]
    #[arg(long, value_name = "FOLDER|off")]
    cache: Option<PathBuf>,
    /// An adapter that changes the encoder (`offshoot tune` writes them)
    #[arg(long, value_name = "FILE")]
    adapter: Option<PathBuf>,
    /// A session option of ONNX Runtime, by its key; may be repeated
    #[arg(long = "session-option", value_name = "KEY=VALUE")]
    session_options: Vec<KeyValue>,
}

/// How inputs become embeddings. A head remembers it, so only `embed`, `learn` and
/// `similarity` ask.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "How inputs become embeddings")]
pub(crate) struct EmbedArgs {
    /// Text put before every text: the name of one of the encoder's prompts (`offshoot info`
    /// lists them), `none`, or any text with `text:` before it [default: the encoder's own]
    #[arg(long, value_name = "NAME|none|text:…")]
    prompt: Option<PromptChoice>,
    /// Keep only the first N dimensions of each embedding, for encoders trained for it
    /// (Matryoshka)
    #[arg(long, value_name = "N")]
    dimensions: Option<NonZeroUsize>,
}

/// What is done with a text that is longer than the encoder reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Truncate {
    /// Cut it, and say at the end how many texts were cut.
    #[default]
    Cut,
    /// Stop with an error that names the row.
    Error,
}

impl EncoderArgs {
    /// Opens the encoder, and says once on standard error when its weights could not be
    /// kept for the next time.
    pub(crate) fn open(&self, bundle: &Path) -> Result<Encoder> {
        self.open_with(bundle, self.threads)
    }

    /// Opens the encoder for one text: with one thread where no number was asked for, as
    /// starting and waking others takes longer than what they would save.
    pub(crate) fn open_for_one(&self, bundle: &Path) -> Result<Encoder> {
        self.open_with(bundle, self.threads.or(Some(NonZeroUsize::MIN)))
    }

    /// Whether an adapter changes the encoder.
    pub(crate) fn adapted(&self) -> bool {
        self.adapter.is_some()
    }

    /// Opens a bundle that is there for this once: nothing prepared is kept, no adapter applies.
    pub(crate) fn open_once(&self, bundle: &Path) -> Result<Encoder> {
        let options = OpenOptions::new().threads(self.threads).cache(WeightCache::Off);
        options.open(bundle).map_err(|error| bundle_failure(bundle, error))
    }

    /// The runtime's options.
    pub(crate) fn options(&self) -> Result<OpenOptions> {
        let mut options = OpenOptions::new().threads(self.threads).cache(match &self.cache {
            None => WeightCache::UserFolder,
            Some(choice) if choice.as_os_str() == "off" => WeightCache::Off,
            Some(folder) => WeightCache::Folder(folder.clone()),
        });
        for KeyValue { key, value } in &self.session_options {
            options = options.config_entry(key, value);
        }
        if let Some(adapter) = &self.adapter {
            options = options.adapter(Adapter::open(adapter)?);
        }
        Ok(options)
    }

    /// What the encoder is and reads, without opening it.
    pub(crate) fn manifest(bundle: &Path) -> Result<Manifest> {
        let found = Bundle::open(bundle).map_err(|error| bundle_failure(bundle, error))?;
        Ok(found.manifest().clone())
    }

    /// What identifies the encoder, without opening it.
    pub(crate) fn digest(&self, bundle: &Path) -> Result<String> {
        let found = Bundle::open(bundle).map_err(|error| bundle_failure(bundle, error))?;
        Ok(self.options()?.digest_of(&found)?)
    }

    fn open_with(&self, bundle: &Path, threads: Option<NonZeroUsize>) -> Result<Encoder> {
        let options = self.options()?.threads(threads);
        let encoder = options.open(bundle).map_err(|error| bundle_failure(bundle, error))?;
        if let CacheState::Unusable(reason) = encoder.cache_state() {
            progress::say(&format!(
                "note: the weights could not be kept prepared ({reason}), so this process holds a \
                 private copy and starts more slowly; --cache FOLDER names another place, --cache \
                 off silences this"
            ));
        }
        Ok(encoder)
    }
}

/// A failure to open a bundle, with advice when there is none.
pub(crate) fn bundle_failure(bundle: &Path, error: offshoot::Error) -> Failure {
    let missing = matches!(&error, offshoot::Error::Io { source, path, .. }
        if source.kind() == std::io::ErrorKind::NotFound && path == bundle);
    let failure = Failure::from(error);
    if missing { failure.advise("`offshoot import` makes a bundle") } else { failure }
}

/// Refuses an encoder that reads no texts, for commands that have nothing else to give it.
pub(crate) fn require_texts(bundle: &Path, command: &str) -> Result {
    let Manifest { name, modality, .. } = EncoderArgs::manifest(bundle)?;
    match modality {
        Modality::Text => Ok(()),
        other => Err(Failure::usage(format!(
            "`offshoot {command}` works on encoders of texts, and {name:?} reads {}",
            other.plural()
        ))),
    }
}

impl EmbedArgs {
    /// The runtime's options.
    pub(crate) fn options(&self, truncate: Truncate) -> EmbedOptions {
        EmbedOptions {
            prompt: self.prompt(),
            dimensions: self.dimensions,
            truncation: truncate.into(),
            ..EmbedOptions::default()
        }
    }

    fn prompt(&self) -> Prompt {
        match &self.prompt {
            None => Prompt::Default,
            Some(choice) => choice.0.clone(),
        }
    }
}

impl From<Truncate> for Truncation {
    fn from(truncate: Truncate) -> Self {
        match truncate {
            Truncate::Cut => Self::Cut,
            Truncate::Error => Self::Refuse,
        }
    }
}

/// A prompt as the command line says it.
#[derive(Debug, Clone, PartialEq)]
struct PromptChoice(Prompt);

impl FromStr for PromptChoice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text.strip_prefix("text:") {
            Some(text) => Prompt::Text(text.to_owned()),
            None if text == "none" => Prompt::None,
            None => Prompt::Named(text.to_owned()),
        }))
    }
}

/// The text that [`EmbedArgs`] put before every input, after names were looked up; empty
/// for none. A head file records it.
pub(crate) fn prompt_text(encoder: &Encoder, prompt: &Prompt) -> Option<String> {
    let text = encoder.manifest().text.as_ref()?;
    match prompt {
        Prompt::None => None,
        Prompt::Text(text) => Some(text.clone()),
        Prompt::Named(name) => text.prompts.get(name).cloned(),
        Prompt::Default => text.default_prompt.as_ref().and_then(|n| text.prompts.get(n)).cloned(),
    }
}

/// `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyValue {
    key: String,
    value: String,
}

impl FromStr for KeyValue {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("it must be KEY=VALUE, such as session.disable_prepacking=1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_and_session_options_are_read() {
        let prompt = |text: &str| text.parse::<PromptChoice>().unwrap().0;
        assert_eq!(prompt("none"), Prompt::None);
        assert_eq!(prompt("query"), Prompt::Named("query".into()));
        assert_eq!(prompt("text:query: "), Prompt::Text("query: ".into()));
        let entry: KeyValue = "a.b=c=d".parse().unwrap();
        assert_eq!((entry.key.as_str(), entry.value.as_str()), ("a.b", "c=d"));
        assert!("=x".parse::<KeyValue>().is_err() && "x".parse::<KeyValue>().is_err());
    }
}
