//! What encoders learn without labels: one objective a file, each with its source, its formula
//! and the few numbers that work unchanged.
//!
//! An objective has two halves: a graph that computes its loss, and what that graph is fed for
//! a batch of examples. Weighted sums of several objectives share one encoder.

mod autoregressive;
mod barlow_twins;
mod batch;
mod changes;
mod denoising;
mod feed;
mod masked_patches;
mod masked_token;
mod multiple_negatives;
mod neighborhood;
mod order;
mod predictor;
mod replaced_token;
mod rotation;
mod self_distillation;
mod sigreg;
mod sim_clr;
mod sim_cse;
mod sim_siam;
mod supervised_contrastive;
mod triplet;
mod vicreg;

use std::fmt;

use offshoot_export::graph::{Dim, Value};

pub use self::autoregressive::Autoregressive;
pub use self::barlow_twins::BarlowTwins;
pub use self::batch::{Batch, Rows, Tokens};
pub use self::denoising::Denoising;
pub(crate) use self::feed::integers;
pub use self::feed::{Draw, Feed, Preparation};
pub use self::masked_patches::MaskedPatches;
pub use self::masked_token::MaskedToken;
pub use self::multiple_negatives::MultipleNegatives;
pub use self::neighborhood::Neighborhood;
pub use self::order::Order;
pub use self::predictor::{Asked, Predictor};
pub use self::replaced_token::ReplacedToken;
pub use self::rotation::Rotation;
pub use self::self_distillation::SelfDistillation;
pub use self::sigreg::SigReg;
pub use self::sim_clr::SimClr;
pub use self::sim_cse::SimCse;
pub use self::sim_siam::SimSiam;
pub use self::supervised_contrastive::SupervisedContrastive;
pub use self::triplet::Triplet;
pub use self::vicreg::Vicreg;
use crate::data::Kind;
use crate::encoders::{Architecture, Features, Network};
use crate::error::{Error, Result};

/// Something that an encoder is trained to do.
pub trait Objective: fmt::Debug + Send + Sync {
    /// Its name, as commands and files write it.
    fn name(&self) -> &'static str;

    /// Whether it can train this encoder.
    ///
    /// # Errors
    /// [`Error::Pretrain`] that says why not.
    fn check(&self, encoder: &Architecture) -> Result<()>;

    /// Whether it reads the labels of examples.
    fn needs_labels(&self) -> bool {
        false
    }

    /// The decay of the average of all weights that it reads as a teacher.
    fn teacher_decay(&self) -> Option<f32> {
        None
    }

    /// The objective as a model of tokens, where it gives them probabilities.
    fn predictor(&self) -> Option<&dyn Predictor> {
        None
    }

    /// Adds its inputs and its loss, a number, to the graph. Names of inputs begin with its own
    /// name and a dot.
    ///
    /// # Errors
    /// Those of the graph.
    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value>;

    /// What its inputs are fed for a batch.
    ///
    /// # Errors
    /// [`Error::Pretrain`] when the batch is of another kind.
    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed>;
}

/// Names of all objectives, in the order of the documentation.
pub const NAMES: [&str; 18] = [
    "masked-token",
    "autoregressive",
    "replaced-token",
    "denoising",
    "masked-patches",
    "rotation",
    "order",
    "simclr",
    "simcse",
    "neighborhood",
    "vicreg",
    "barlow-twins",
    "simsiam",
    "self-distillation",
    "sigreg",
    "triplet",
    "supervised-contrastive",
    "multiple-negatives",
];

/// The objective of a name, with its usual settings.
///
/// # Errors
/// [`Error::Argument`] that lists the names.
pub fn named(name: &str) -> Result<Box<dyn Objective>> {
    Ok(match name {
        "masked-token" => Box::new(MaskedToken::default()),
        "autoregressive" => Box::new(Autoregressive::default()),
        "replaced-token" => Box::new(ReplacedToken::default()),
        "denoising" => Box::new(Denoising::default()),
        "masked-patches" => Box::new(MaskedPatches::default()),
        "rotation" => Box::new(Rotation::default()),
        "order" => Box::new(Order::default()),
        "simclr" => Box::new(SimClr::default()),
        "simcse" => Box::new(SimCse::default()),
        "neighborhood" => Box::new(Neighborhood::default()),
        "vicreg" => Box::new(Vicreg::default()),
        "barlow-twins" => Box::new(BarlowTwins::default()),
        "simsiam" => Box::new(SimSiam::default()),
        "self-distillation" => Box::new(SelfDistillation::default()),
        "sigreg" => Box::new(SigReg::default()),
        "triplet" => Box::new(Triplet::default()),
        "supervised-contrastive" => Box::new(SupervisedContrastive::default()),
        "multiple-negatives" => Box::new(MultipleNegatives::default()),
        _ => {
            return Err(Error::Argument(format!(
                "there is no objective `{name}`, only {}",
                NAMES.join(", ")
            )));
        }
    })
}

/// Two views of each row, first views first, through the encoder.
fn two_views(net: &mut Network<'_>, encoder: &Architecture, name: &str) -> Result<Features> {
    let input = encoder.input(net, &format!("{name}."), pairs())?;
    encoder.encode(net, input)
}

/// The same behind a projector of these widths: the first views and the second, each
/// `[batch, last width]`.
fn projected_views(
    net: &mut Network<'_>,
    encoder: &Architecture,
    name: &str,
    projector: &[usize],
) -> Result<(Value, Value)> {
    let features = two_views(net, encoder, name)?;
    let widths = [&[features.width][..], projector].concat();
    let projected = net.projector(&format!("{name}.projector"), features.pooled, &widths)?;
    halves(net, projected)
}

/// Rows of two views: twice the batch.
fn pairs() -> Dim {
    let batch = Dim::symbol("batch");
    batch.times(&2.into()).unwrap_or(batch)
}

/// The first and the second half of the rows.
fn halves(net: &mut Network<'_>, x: Value) -> Result<(Value, Value)> {
    let parts = net.graph.split_evenly(x, 0, 2)?;
    match parts[..] {
        [first, second] => Ok((first, second)),
        _ => Err(Error::Pretrain("a batch was not cut into two halves".into())),
    }
}

/// An error for an objective that suits other encoders.
fn unsuitable(name: &str, encoder: &Architecture, reason: &str) -> Error {
    let article = if matches!(encoder, Architecture::Imported(_)) { "an" } else { "a" };
    Error::Pretrain(format!("{name} cannot train {article} {}: {reason}", encoder.name()))
}

/// Whether an encoder is of a kind that an objective suits.
fn only(name: &str, encoder: &Architecture, kinds: &[Kind]) -> Result<()> {
    if kinds.contains(&encoder.kind()) {
        return Ok(());
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.plural()).collect();
    Err(unsuitable(name, encoder, &format!("it is for {}", names.join(" and "))))
}
