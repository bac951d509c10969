//! Opens self-supervised encoders by mapping their file, and embeds texts, images
//! and signals with almost no private memory.
//!
//! ```no_run
//! use offshoot::{Encoder, similarity};
//!
//! // Made once by `offshoot import FOLDER -o minilm.offshoot`.
//! let encoder = Encoder::open("minilm.offshoot")?;
//! let texts = ["the film moved me", "a moving film", "the invoice is due"];
//! let embeddings = encoder.embed(&texts)?;
//! let cosines = similarity::cosine(embeddings.vectors(), embeddings.vectors());
//! assert!(cosines[[0, 1]] > cosines[[0, 2]]);
//! # Ok::<(), offshoot::Error>(())
//! ```
//!
//! - [`Encoder`] is an open bundle; [`OpenOptions`] says how it is opened,
//!   [`EmbedOptions`] how inputs are embedded.
//! - [`Image`] is what an encoder of images reads; [`resample`] gives signals the
//!   length that an encoder of signals reads.
//! - [`bundle`] is the file format, checked before it is used.
//! - [`Learner`] is an encoder that is taught: labelled examples in one file,
//!   durable, undoable and forgettable (feature `learner`, on by default).
//! - [`Trainer`] runs training programs, whose state stays on the device.
//! - [`library`] finds and loads ONNX Runtime.
//! - [`to_f16`], [`to_int8`], [`to_bits`] make embeddings smaller;
//!   [`similarity`] compares them.

mod adapter;
pub mod bundle;
mod cache;
mod embeddings;
mod encoder;
mod error;
mod image;
#[cfg(feature = "learner")]
pub mod learner;
pub mod library;
mod memory;
mod session;
mod signal;
pub mod similarity;
mod tokenizer;
pub mod trainer;

pub use adapter::{Adapter, AdapterManifest};
pub use cache::cache_dir;
pub use embeddings::{Embeddings, to_bits, to_f16, to_int8};
pub use encoder::{BATCH_ROWS, BATCH_TOKENS, EmbedOptions, Encoder, Prompt};
pub use error::{Error, Result};
pub use image::{Image, MAX_PIXELS};
#[cfg(feature = "learner")]
pub use learner::{Learner, LearnerOptions, Prediction};
pub use library::Engine;
pub use offshoot_adapters as adapters;
pub use session::{CacheState, OpenOptions, Spinning, WeightCache};
pub use signal::resample;
pub use tokenizer::{TokenSpan, Tokenizer, Tokens, Truncation};
pub use trainer::{Trainer, TrainerOptions};
