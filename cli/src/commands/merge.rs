//! `offshoot merge`: what several devices learned, pooled without their examples.

use std::path::{Path, PathBuf};

use offshoot::learner::{DEFAULT_DELTA, Store, UNIT_CLIP, privatize};
use offshoot_adapters::statistics::{Privacy, Shrinkage, Statistics};
use offshoot_adapters::{EncoderTag, Error, Head, HeadFile, Ridge, StatisticsFile};

use crate::failure::{Code, Failure, Result};
use crate::files::{self, shell_path};
use crate::head::{is_learner, open_store};
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, grouped};

/// Most classes whose counts are listed.
const LISTED: usize = 12;

const EXAMPLES: &str = "\
Examples:
  offshoot merge phone.learner -o phone.statistics
  offshoot merge phone.statistics tablet.statistics laptop.learner -o all.head
  offshoot merge phone.learner -o phone.statistics --epsilon 2

What statistics reveal: they hold no texts and no examples, but for each class its name, the \
number of its examples, their weight and the sum of their embeddings, and one sum over all \
examples of the products of two dimensions. Without --epsilon that is exact: the sum of a class \
with one example is that example's embedding, two versions of the statistics differ by what was \
taught in between, and from an embedding a text can be guessed. Treat them then as you treat \
the examples. With --epsilon the names of the classes stay readable; nearly everything else that \
could tell whether one example is there is drowned in noise.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "nothing was written";

/// Pool what learners of one encoder learned, without their examples
///
/// Reads learners and shared statistics and adds them up. Where the output ends with
/// `.statistics`, it holds the sums, to be shared and merged again; with one learner, that is
/// what this device shares. Where it ends with `.head`, it is the head that the pooled examples
/// give, exactly and in whatever order and grouping they were merged. Examples without a label
/// are left out; weights count.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Learners and statistics, all of one encoder, dimensions and prompt
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The file to write: NAME.statistics or NAME.head
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Kind of the head [default: discriminant]
    #[arg(long, value_enum, value_name = "KIND")]
    head: Option<Kind>,
    /// Make the sums differentially private first: adds noise so that no outcome is more than
    /// e^E times as likely with any one example as without it. Smaller is more private; 1 is
    /// strong and 8 weak. Only for learners, for embeddings of unit length and weights of at
    /// most 1. Each output from the same examples costs again
    #[arg(long, value_name = "E")]
    epsilon: Option<f64>,
    /// Probability with which --epsilon may fail to hold; far below one over the number of
    /// examples [default: 1e-6]
    #[arg(long, value_name = "D", requires = "epsilon")]
    delta: Option<f64>,
}

/// Heads that sums are enough for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Linear discriminant
    Discriminant,
    /// Ridge regression
    Ridge,
    /// Nearest class mean
    NearestMean,
}

/// What an input holds.
enum Input {
    Learner(Store),
    Statistics(StatisticsFile),
}

impl Input {
    /// Opens a file as what its content says that it is.
    fn open(path: &Path) -> Result<Self> {
        if is_learner(path) {
            return open_store(path).map(Self::Learner);
        }
        StatisticsFile::load(path).map(Self::Statistics).map_err(|error| {
            let other = matches!(error, Error::BadStatistics { .. });
            let failure = Failure::from(error);
            if other {
                failure.advise("give learners, and statistics that `offshoot merge` wrote")
            } else {
                failure
            }
        })
    }

    fn encoder(&self) -> &EncoderTag {
        match self {
            Self::Learner(store) => &store.info().encoder,
            Self::Statistics(file) => &file.encoder,
        }
    }
}

pub(crate) fn run(args: Args) -> Result {
    let to_head = match args.output.extension().and_then(|ending| ending.to_str()) {
        Some("head") => true,
        Some("statistics") => false,
        _ => {
            return Err(Failure::usage(format!(
                "what to write is not known from the name {}; let it end with .statistics or .head",
                shell_path(&args.output)
            )));
        }
    };
    if !to_head && args.head.is_some() {
        return Err(Failure::usage("--head is about heads; let the output end with .head"));
    }
    files::check_output(&args.output, args.inputs.iter().map(PathBuf::as_path))?;
    refuse_twice(&args.inputs)?;
    let interrupt = Interrupt::listen();
    let inputs = args.inputs.iter().map(|path| Input::open(path)).collect::<Result<Vec<_>>>()?;
    let encoder = common_encoder(&args.inputs, &inputs)?;
    let (mut statistics, privacy) = interrupt.at_once(Ending::saying(INTERRUPTED), || {
        let pooled = pool(&args.inputs, inputs, encoder.dimensions, args.epsilon.is_some())?;
        let Some(epsilon) = args.epsilon else { return Ok::<_, Failure>((pooled, None)) };
        let delta = args.delta.unwrap_or(DEFAULT_DELTA);
        let (private, privacy) = privatize(&pooled, epsilon, delta)?;
        Ok((private, Some(privacy)))
    })?;
    let described = describe(&statistics, args.inputs.len(), privacy.is_some());
    let what = if to_head {
        let kind = args.head.unwrap_or(Kind::Discriminant);
        let head = fit(kind, &statistics)?;
        let name = head.kind();
        let mut file = HeadFile::new(encoder, head, &[]);
        let count = |&count: &u64| usize::try_from(count).unwrap_or(usize::MAX);
        file.examples = statistics.counts().iter().map(count).collect();
        file.save(&args.output)?;
        format!("{name} head of ")
    } else {
        let file = StatisticsFile { encoder, statistics };
        file.save(&args.output)?;
        statistics = file.statistics;
        "statistics of ".to_owned()
    };
    progress::say(&format!("{}: {what}{described}", shell_path(&args.output)));
    match privacy {
        Some(privacy) => progress::say(&reveals(&privacy, &statistics)),
        None if !to_head && statistics.counts().contains(&1) => progress::say(
            "note: a class has a single example, whose embedding can be read from the statistics; \
             --epsilon hides it",
        ),
        None => {}
    }
    Ok(())
}

/// The head that sums give.
fn fit(kind: Kind, statistics: &Statistics) -> Result<Head> {
    let head = match kind {
        Kind::Discriminant => statistics.discriminant(Shrinkage::default()),
        Kind::Ridge => statistics.ridge(&Ridge::default()),
        Kind::NearestMean => statistics.nearest_mean(),
    };
    head.map_err(|error| match error {
        // Clipped sums are of unit length: what does not fit together is their noise.
        Error::Scale(_) if statistics.clip().is_some() => Failure::data(
            "the noise of --epsilon drowns these statistics and no covariance is left; merge more              examples, give a larger epsilon, or take --head nearest-mean",
        ),
        error => error.into(),
    })
}

/// Refuses to count the same examples twice.
fn refuse_twice(inputs: &[PathBuf]) -> Result {
    let mut places: Vec<PathBuf> = Vec::with_capacity(inputs.len());
    for input in inputs {
        let place = std::fs::canonicalize(input).unwrap_or_else(|_| input.clone());
        if places.contains(&place) {
            return Err(Failure::usage(format!(
                "{} is given twice and its examples would count twice; name it once",
                shell_path(input)
            )));
        }
        places.push(place);
    }
    Ok(())
}

/// The encoder that all inputs have in common. Where only its names differ, the first in the
/// alphabet, so that the order of inputs does not matter.
fn common_encoder(paths: &[PathBuf], inputs: &[Input]) -> Result<EncoderTag> {
    let mut pairs = paths.iter().zip(inputs.iter().map(Input::encoder));
    let Some((first, tag)) = pairs.next() else {
        return Err(Failure::usage("there is nothing to merge; name learners or statistics"));
    };
    let mut common = tag.clone();
    for (path, other) in pairs {
        let differ = |what: &str, theirs: &str, ours: &str| {
            Failure::new(
                Code::Artifact,
                format!(
                    "{} has the {what} {theirs} and {} the {what} {ours}; only what was learned \
                     with the same encoder, dimensions and prompt can be merged",
                    shell_path(path),
                    shell_path(first)
                ),
            )
        };
        if other.digest != common.digest {
            let name = |tag: &EncoderTag| format!("{:?} ({})", tag.name, tag.digest);
            return Err(differ("encoder", &name(other), &name(&common)));
        }
        if other.dimensions != common.dimensions {
            let of = |tag: &EncoderTag| tag.dimensions.to_string();
            return Err(differ("dimensions", &of(other), &of(&common)));
        }
        if other.prompt != common.prompt {
            let of = |tag: &EncoderTag| format!("{:?}", tag.prompt.as_deref().unwrap_or_default());
            return Err(differ("prompt", &of(other), &of(&common)));
        }
        if other.name < common.name {
            common.name.clone_from(&other.name);
        }
    }
    Ok(common)
}

/// Adds everything up, on the grid of the statistics among the inputs.
fn pool(
    paths: &[PathBuf],
    inputs: Vec<Input>,
    dimensions: usize,
    private: bool,
) -> Result<Statistics> {
    let mut pooled: Option<Statistics> = None;
    let mut learners = Vec::new();
    let empty = |path: &Path, what| {
        Failure::data(format!("{} has no labelled examples; {what}", shell_path(path)))
    };
    for (path, input) in paths.iter().zip(inputs) {
        match input {
            Input::Learner(store) => learners.push((path, store)),
            Input::Statistics(_) if private => {
                return Err(Failure::usage(format!(
                    "{} is statistics, and --epsilon has to see the examples: give learners, or \
                     merge what each device made with --epsilon",
                    shell_path(path)
                )));
            }
            Input::Statistics(file) => {
                if file.statistics.examples() == 0 {
                    return Err(empty(path, "leave it out"));
                }
                match &mut pooled {
                    Some(pooled) => pooled.merge(&file.statistics).map_err(|error| {
                        let grids = matches!(error, Error::OtherGrid { .. });
                        let failure = Failure::from(error);
                        if grids { failure.advise(grid_advice(path)) } else { failure }
                    })?,
                    None => pooled = Some(file.statistics),
                }
            }
        }
    }
    let mut pooled = match pooled {
        Some(pooled) => pooled,
        None if private => Statistics::clipped(dimensions, UNIT_CLIP)?,
        None => Statistics::new(dimensions)?,
    };
    for (path, store) in learners {
        let before = pooled.examples();
        pooled = store.statistics(pooled)?;
        if pooled.examples() == before {
            return Err(empty(path, "teach some with `offshoot teach`"));
        }
    }
    Ok(pooled)
}

fn grid_advice(path: &Path) -> String {
    format!(
        "{} and the statistics before it were not both made with --epsilon, or both without it; \
         make one of them again from its learner",
        shell_path(path)
    )
}

/// Classes and counts; those with noise where there is noise, since the summary may be shown to
/// whoever gets the file.
fn describe(statistics: &Statistics, inputs: usize, noisy: bool) -> String {
    let counts = statistics.counts();
    let listed: Vec<String> = statistics
        .names()
        .zip(&counts)
        .take(LISTED)
        .map(|(name, count)| format!("{} {}", name.escape_debug(), grouped(*count)))
        .collect();
    format!(
        "{} {} from {}{} {} in {inputs} {}: {}{}",
        counts.len(),
        if counts.len() == 1 { "class" } else { "classes" },
        if noisy { "about " } else { "" },
        grouped(statistics.examples()),
        if statistics.examples() == 1 { "example" } else { "examples" },
        if inputs == 1 { "input" } else { "inputs" },
        listed.join(", "),
        if counts.len() > LISTED { ", …" } else { "" },
    )
}

fn reveals(privacy: &Privacy, statistics: &Statistics) -> String {
    let Privacy { epsilon, delta, rho, deviation, .. } = privacy;
    let mut text = format!(
        "differentially private for one example more or less: epsilon {epsilon}, delta {delta}, \
         rho {rho:.3e}; noise of standard deviation {deviation:.3} on every sum (an example counts \
         1); each output from the same examples costs again",
    );
    // The sum of a class is at most as long as its weight; noise has a part in each dimension.
    let length = deviation * (statistics.dimensions() as f64).sqrt();
    let smallest = statistics.weights().into_iter().fold(f64::INFINITY, f64::min);
    if length > smallest {
        text.push_str(&format!(
            "\nnote: the noise outweighs a class of fewer than {} examples, and there is one with \
             about {smallest:.0}; teach more, or give a larger epsilon",
            grouped(length.ceil() as u64)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use offshoot_models::random::SplitMix64;

    use super::*;

    #[test]
    fn drowned_statistics_are_said_to_be_so() {
        let mut statistics = Statistics::clipped(16, UNIT_CLIP).unwrap();
        for i in 0..24usize {
            let x = (0..16).map(|j| ((7 * i + 3 * j) as f32).sin() / 4.0).collect();
            let label = ["a", "b", "c"][i % 3];
            statistics.add(ndarray::Array1::from_vec(x).view(), label, 1.0).unwrap();
        }
        let (mut fitted, mut drowned) = (0, 0);
        for seed in 0..40 {
            let mut random = SplitMix64::new(seed);
            let (noisy, privacy) =
                statistics.privatize(2.0, DEFAULT_DELTA, || random.next_u64()).unwrap();
            assert!(reveals(&privacy, &noisy).contains("outweighs"));
            match fit(Kind::Discriminant, &noisy) {
                Ok(_) => fitted += 1,
                Err(Failure::Said { message, code }) => {
                    assert!(message.contains("noise") && code == Code::Data, "{message}");
                    drowned += 1;
                }
                Err(Failure::OutputClosed) => panic!("expected a message"),
            }
            fit(Kind::NearestMean, &noisy).unwrap();
        }
        assert!(fitted > 0 && drowned > 0, "{fitted} {drowned}");
        let mut random = SplitMix64::new(1);
        let (noisy, privacy) =
            statistics.privatize(1e4, DEFAULT_DELTA, || random.next_u64()).unwrap();
        assert!(!reveals(&privacy, &noisy).contains("outweighs"));
        fit(Kind::Discriminant, &noisy).unwrap();
    }
}
