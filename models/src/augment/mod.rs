//! Random views of examples, and the contact sheet that shows them.
//!
//! Everything is a function of the example, the settings and the generator: the same three
//! give the same view on every thread.

pub mod images;
pub mod patches;
pub mod preview;
pub mod settings;
pub mod signals;
pub mod tokens;

pub use images::ImageAugmentation;
pub use patches::PatchMask;
pub use settings::{AugmentationSettings, Preset};
pub use signals::SignalAugmentation;
pub use tokens::{Masked, Masking, Spans, TokenAugmentation};
