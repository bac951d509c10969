//! Random views of examples, and the contact sheet that shows them.
//!
//! Everything is a function of the example, the settings and the generator: the same three
//! give the same view on every thread.

pub mod images;

pub use images::ImageAugmentation;
