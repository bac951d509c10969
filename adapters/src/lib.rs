//! Linear heads on embeddings: taught from a handful of labels, in milliseconds, on the
//! device.
//!
//! An encoder turns each input into an embedding, one row of a matrix. A *head* learns classes
//! from a few labelled rows, tells the class of new ones and how sure it is, and is saved
//! in one small file that works on no other encoder.
//!
//! # From embeddings to a saved head
//!
//! ```
//! use ndarray::array;
//! use offshoot_adapters::metrics::ClassificationReport;
//! use offshoot_adapters::{Classes, EncoderTag, HeadFile, HeadKind};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // 1. Embeddings, one row an example, and a label for each.
//! let x = array![[0.9f32, 0.1, 0.0], [0.8, 0.3, 0.1], [0.1, 0.9, 0.2], [0.0, 0.8, 0.1]];
//! let (classes, y) = Classes::from_labels(&["weather", "weather", "sport", "sport"])?;
//!
//! // 2. Fit a head.
//! let head = HeadKind::Logistic.fit(x.view(), &y, classes)?;
//!
//! // 3. Ask it about new embeddings.
//! let new = array![[0.7f32, 0.2, 0.1]];
//! let class = head.predict(new.view())?[0];
//! assert_eq!(head.classes().name(class), "weather");
//! let probabilities = head.predict_proba(new.view())?;
//! assert!((probabilities.row(0).sum() - 1.0).abs() < 1e-12);
//!
//! // 4. See how good it is, on examples it was not fitted on.
//! let truth = [class];
//! print!("{}", ClassificationReport::new(head.classes(), &truth, &[class])?);
//!
//! // 5. Save it for its encoder, and open it again.
//! let encoder = EncoderTag {
//!     digest: "sha256:3f2a".into(),
//!     name: "my-encoder".into(),
//!     dimensions: 3,
//!     prompt: None,
//! };
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("topics.head");
//! HeadFile::new(encoder, head, &y).save(&path)?;
//! let file = HeadFile::load_for(&path, "sha256:3f2a", 3)?;
//! assert_eq!(file.head.predict_proba(new.view())?, probabilities);
//! # Ok(())
//! # }
//! ```
//!
//! # Which head
//!
//! | head | take it when | decides as |
//! | --- | --- | --- |
//! | [`Auto`] | in doubt: it has nothing to set, and is the most accurate on average | (no counterpart) |
//! | [`NearestMean`] | there are thousands of classes, or one example of each | scikit-learn's `NearestCentroid` |
//! | [`Ridge`] | linear, small, sets its own penalty, and its probabilities are calibrated | `RidgeClassifierCV` |
//! | [`Discriminant`] | there are 8 examples of a class or more | `LinearDiscriminantAnalysis` |
//! | [`NearestNeighbors`] | classes have no simple shape and labels are many | `KNeighborsClassifier` |
//! | [`Cache`] | classes consist of several groups, labels are few | Tip-Adapter, with class means |
//! | [`Logistic`] | it must equal a model fitted elsewhere, or `c` can be tuned | `LogisticRegression` |
//!
//! On sentence embeddings the linear heads are within a few points of accuracy of each other;
//! on raw measurements [`Auto`] is far ahead, as it finds curved boundaries where there are any.
//! The held-out log-loss of logistic regression at `c` = 1 is far above that of the others: it
//! is too unsure. With unlabeled embeddings at hand, see [`semi_supervised`].
//!
//! Every head is deterministic: the same examples give the same bytes on the same machine.
//! Embeddings are `f32`, everything computed from them is `f64`. The crate reads no model and
//! no text and contains no `unsafe`. Fits of thousands of examples start threads, whose number
//! changes no bit of the result.
//!
//! # Heads that follow their examples
//!
//! [`Statistics`](statistics::Statistics) hold all that closed-form heads need to know, exactly:
//! examples can be added, removed, relabelled and reweighted, classes forgotten, devices
//! merged, and the result is bit for bit that of the examples that are left. From them come
//! the nearest mean, ridge and the discriminant; [`RecursiveRidge`] keeps a ridge head up to
//! date in O(d²) an example.
//!
//! # What else there is
//!
//! | question | answer |
//! | --- | --- |
//! | How sure should it be? | [`calibration`], from leave-one-out predictions |
//! | Which classes can be ruled out, with a guarantee? | [`conformal`] prediction sets |
//! | Is this something else altogether? | [`open_set`], at a wanted false-accept rate |
//! | Do today's inputs still look the same? | [`drift`], at a wanted rate of false alarms |
//! | Which example should be labelled next? | [`selection`] |
//! | Which labels are wrong? | [`noise`] |
//! | How good is it? | [`metrics`], as text, JSON and [`metrics::svg`] |
//! | What do unlabeled examples tell? | [`semi_supervised`] learning |
//! | What if the target is a number, or several labels hold? | [`Regression`], [`MultiLabel`], with files like a head's ([`FittedFile`]) |
//!
//! # Limits
//!
//! At most [`Classes::MAX`] classes; a fit that would need over 4 GiB of working memory is
//! refused with [`Error::TooLarge`] before it starts; a head file is at most 2 GiB.

#![forbid(unsafe_code)]

pub mod calibration;
mod classes;
mod classifier;
pub mod conformal;
pub mod drift;
mod error;
mod examples;
mod file;
mod head;
mod heads;
pub mod metrics;
mod multi_label;
pub mod noise;
mod numeric;
pub mod open_set;
mod predictions;
mod recursive;
mod regression;
pub mod selection;
pub mod semi_supervised;
pub mod statistics;

pub use classes::Classes;
pub use classifier::Classifier;
pub use error::{Error, Result};
pub use file::{
    ConformalFile, DriftFile, EncoderTag, FileKind, Fitted, FittedFile, HeadFile, MultiLabelFile,
    OpenSetFile, RegressionFile, StatisticsFile,
};
pub use head::{Head, HeadKind, LinearLogits};
pub use heads::auto;
pub use heads::{
    Auto, AutoHead, Cache, CacheHead, Choice, ClassWeights, Discriminant, DiscriminantHead,
    Logistic, LogisticHead, Metric, NearestMean, NearestMeanHead, NearestNeighbors,
    NearestNeighborsHead, Ridge, RidgeHead,
};
pub use multi_label::{MultiLabel, MultiLabelHead};
pub use predictions::most_likely;
pub use recursive::RecursiveRidge;
pub use regression::{Regression, RegressionHead};
