//! From the command line to the options of a run.

use std::num::{NonZeroU64, NonZeroUsize};

use offshoot::TrainerOptions;
use offshoot_models::data::{Dataset, Kind};
use offshoot_models::encoders::Size;
use offshoot_models::objectives;
use offshoot_models::pretrain::{
    Budget, PretrainOptions, Recompute, Start, TokenizerKind, WeightedObjective, is_own,
};
use offshoot_models::tables::Format;

use super::{Args, Augment, RecomputeChoice, SizeChoice, TokenizerChoice};
use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;

/// Learning rate at its highest for an encoder that others have trained.
const IMPORTED_RATE: f32 = 5e-5;

/// Examples held out for its figures of quality: each takes it much longer than a small encoder.
const IMPORTED_HELD_OUT: usize = 256;

/// The options that the command line asks for, on this data.
pub(super) fn options(
    args: &Args,
    data: &dyn Dataset,
    interrupt: &Interrupt,
) -> Result<PretrainOptions> {
    let fasta = args.data.iter().any(|path| Format::from_path(path) == Some(Format::Fasta));
    let imported = match &args.init {
        Some(bundle) => !is_own(bundle)?,
        None => false,
    };
    let usual = match data.kind() {
        Kind::Image | Kind::Signal => "simclr",
        Kind::Text if fasta && !imported => "simclr",
        Kind::Text => "multiple-negatives",
    };
    let objectives = parse_objectives(args.objective.as_deref().unwrap_or(usual))?;
    let first = objectives::named(objectives[0].objective.name())?;
    let output = args.output.clone().unwrap_or_else(|| "preview.offshoot".into());
    let mut options = PretrainOptions::new(first, output);
    options.objectives = objectives;
    options.start = match &args.init {
        Some(bundle) => Start::Init { bundle: bundle.clone() },
        None => Start::Fresh { family: args.encoder },
    };
    options.size = match args.size {
        SizeChoice::Tiny => Size::Tiny,
        SizeChoice::Small => Size::Small,
        SizeChoice::Base => Size::Base,
    };
    options.configuration = args.configure.iter().cloned().collect();
    for augment in &args.augment {
        let settings = &mut options.augmentation;
        match augment {
            Augment::Preset(preset) => settings.preset = Some(*preset),
            Augment::Value(name, value) => {
                settings.values.insert(name.clone(), value.clone());
            }
        }
    }
    options.budget = match (args.minutes, args.epochs, args.steps) {
        (Some(minutes), ..) => Budget::Minutes(minutes),
        (_, Some(epochs), _) => Budget::Epochs(epochs),
        (_, _, Some(steps)) => Budget::Steps(steps),
        _ => options.budget,
    };
    let text = data.kind() == Kind::Text;
    options.batch = args.batch.map_or(if text { 64 } else { 128 }, NonZeroUsize::get);
    options.accumulate = args.accumulate.get() as u64;
    options.optimizer = args.optimizer;
    options.learning_rate = args.optimizer.usual_rate();
    options.recompute = match args.recompute {
        Some(RecomputeChoice::Cheap) => Recompute::Cheap,
        Some(RecomputeChoice::Blocks) => Recompute::Blocks,
        None => Recompute::Nothing,
    };
    if imported {
        options.learning_rate = IMPORTED_RATE;
        options.held_out = IMPORTED_HELD_OUT;
    }
    if let Some(rate) = args.learning_rate {
        options.learning_rate = rate;
    }
    options.average_decay = args.average;
    options.patience = args.patience.map(NonZeroU64::get);
    options.quality_every = args.figures_every.map(NonZeroU64::get);
    options.seed = args.seed;
    options.image_size = args.how.image_size;
    options.tokenizer = match args.how.tokenizer {
        Some(TokenizerChoice::WordPiece) => TokenizerKind::WordPiece,
        Some(TokenizerChoice::Bpe) => TokenizerKind::Bpe,
        Some(TokenizerChoice::Unigram) => TokenizerKind::Unigram,
        Some(TokenizerChoice::Residues) => TokenizerKind::Residues,
        None if fasta => TokenizerKind::Residues,
        None => TokenizerKind::WordPiece,
    };
    options.vocabulary = args.how.vocabulary;
    options.max_tokens = args.how.max_tokens.unwrap_or(if fasta { 128 } else { 64 });
    options.loaders = args.loaders.get();
    options.trainer = TrainerOptions::new().threads(args.threads).device(args.device);
    options.stop = Some(interrupt.flag());
    Ok(options)
}

/// Objectives joined by `+`, each with a weight and `*` before it or without.
fn parse_objectives(all: &str) -> Result<Vec<WeightedObjective>> {
    all.split('+')
        .map(|part| {
            let (weight, name) = match part.split_once('*') {
                Some((weight, name)) => {
                    let weight = weight.trim().parse::<f32>().map_err(|_| {
                        Failure::usage(format!("`{weight}` in --objective is no number"))
                    })?;
                    (weight, name)
                }
                None => (1.0, part),
            };
            let objective = objectives::named(name.trim())?.into();
            Ok(WeightedObjective { objective, weight })
        })
        .collect()
}
