//! `offshoot predict`: the class of each input.

use std::path::PathBuf;

use ndarray::{Array2, ArrayView2};
use offshoot::bundle::Modality;
use offshoot_adapters::Classes;
use offshoot_adapters::calibration::Calibration;
use offshoot_adapters::conformal::{Conformal, ConformalPredictor};
use offshoot_adapters::most_likely;
use offshoot_adapters::open_set::OpenSet;
use serde_json::{Map, Value, json};

use crate::caution::{self, CautionArgs};
use crate::csv;
use crate::encoder::{EncoderArgs, Truncate};
use crate::failure::Result;
use crate::files;
use crate::head::Classifier;
use crate::inputs::{self, Embedder, InputArgs, Row};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::rows::{RowFormat, Sink};

const EXAMPLES: &str = "\
Examples:
  echo 'a warm, funny and beautifully acted film' | offshoot predict minilm.offshoot movies.head
  offshoot predict minilm.offshoot movies.head reviews.csv -o predicted.csv
  offshoot predict minilm.offshoot mail.learner new-mail.csv --coverage 0.9 --false-accepts 0.05
  offshoot predict photos.offshoot birds.head new-photos/ -o birds.csv
  offshoot predict minilm.offshoot mail.head mail.jsonl --text body --proba -o predicted.jsonl

CSV has the columns row, label and probability, and for images and signals input, where they \
lie; --proba adds one column a class, named p: and \
the class; --coverage a column set, its labels joined by |; --false-accepts a column known. JSONL \
has the same as keys, with --proba an object `probabilities`.";

/// What is said when the work is interrupted.
const INTERRUPTED: &str = "a file of predictions is written whole or not at all; run it again";

/// Predict the class of each text, image or signal with a head or a learner
///
/// One line is written for each row of the input: the number of the row from 1, the most
/// likely class, and its probability. A head or a learner runs only on its own encoder.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The encoder's bundle
    bundle: PathBuf,
    /// The head or the learner
    head: PathBuf,
    /// The texts: lines, CSV, TSV, JSONL or Parquet; `-` is standard input [default: -]. Images:
    /// a file, a folder or a table of paths. Signals: .ts, .npy or CSV
    input: Option<PathBuf>,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the output [default: by the file's ending, else csv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    output_format: Option<RowFormat>,
    /// Write the probability of every class
    #[arg(long)]
    proba: bool,
    /// Write a set of labels that holds the true one with this probability, such as 0.9
    /// (conformal prediction; needs a learner, whose examples it uses)
    #[arg(long, value_name = "P", value_parser = caution::share)]
    coverage: Option<f64>,
    #[command(flatten)]
    caution: CautionArgs,
    /// What is done with texts that are too long for the encoder
    #[arg(long, value_enum, value_name = "cut|error", default_value_t)]
    truncate: Truncate,
    #[command(flatten)]
    texts: InputArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

pub(crate) fn run(args: Args) -> Result {
    let format = RowFormat::choose(args.output_format, args.output.as_deref())?;
    let inputs = args.input.iter().chain([&args.bundle, &args.head]).map(PathBuf::as_path);
    if let Some(output) = &args.output {
        files::check_output(output, inputs)?;
    }
    let interrupt = Interrupt::listen();
    let reads = EncoderArgs::manifest(&args.bundle)?;
    let mut rows = args.texts.open(&reads, args.input.as_deref(), None)?;
    let mut sink = Sink::open(args.output.as_deref())?;
    let classifier = Classifier::open(&args.bundle, &args.head, &args.encoder, args.truncate)?;
    let (encoder, head) = (&classifier.encoder, &classifier.file.head);
    let caution = Caution::new(&args, &classifier)?;
    let writer = Writer {
        format,
        place: reads.modality != Modality::Text,
        proba: args.proba,
        classes: head.classes(),
        caution: &caution,
    };
    // Predictions on the terminal and a bar would disturb each other.
    let quiet = args.output.is_none();
    let mut progress = Progress::start_unless(quiet, "Predicting", rows.unit(), rows.len_hint());
    sink.write(&writer.header())?;
    let mut embedder = Embedder::new(encoder, &classifier.options);
    loop {
        interrupt.check(INTERRUPTED)?;
        let chunk =
            interrupt.at_once(sink.ending(INTERRUPTED), || inputs::next_chunk(&mut rows))?;
        if chunk.is_empty() {
            break;
        }
        let embeddings = embedder.embed(&chunk)?;
        let mut proba = classifier.predict_proba(embeddings.vectors())?;
        if let Some(calibration) = &caution.calibration {
            proba = calibration.apply(proba.view())?;
        }
        let doubts = caution.of(embeddings.vectors())?;
        sink.write(&writer.lines(&chunk, &proba, &doubts)?)?;
        progress.set(rows.position());
    }
    drop(progress);
    embedder.note();
    sink.finish()
}

/// Knowing when not to know: what the examples of a learner say of an input besides a class.
struct Caution {
    sets: Option<(ConformalPredictor, f64)>,
    open: Option<(OpenSet, f64)>,
    calibration: Option<Calibration>,
}

/// What is said of the inputs of one part.
struct Doubts {
    sets: Option<Vec<Vec<usize>>>,
    known: Option<Vec<bool>>,
}

impl Caution {
    fn new(args: &Args, classifier: &Classifier) -> Result<Self> {
        let learner = classifier.learner.as_ref();
        let sets = match args.coverage {
            Some(coverage) => {
                let learner = caution::needed(learner)?;
                let examples = learner.with_store(|store| store.labelled())?;
                let (classes, y) = Classes::from_labels(&examples.labels)?;
                let sets = Conformal::default().fit(examples.embeddings.view(), &y, classes)?;
                Some((sets, coverage))
            }
            None => None,
        };
        let open = args.caution.rejection(learner)?;
        let calibration = args.caution.calibration(learner)?;
        Ok(Self { sets, open, calibration })
    }

    fn of(&self, x: ArrayView2<'_, f32>) -> Result<Doubts> {
        let sets = match &self.sets {
            Some((predictor, coverage)) => Some(predictor.predict_sets(x, *coverage)?),
            None => None,
        };
        let known = match &self.open {
            Some((open, rate)) => Some(open.accepts(x, *rate)?),
            None => None,
        };
        Ok(Doubts { sets, known })
    }
}

impl Doubts {
    /// The labels of row `i`'s set.
    fn set<'a>(&self, i: usize, classes: &'a Classes) -> Option<Vec<&'a str>> {
        let set = self.sets.as_ref()?.get(i)?;
        Some(set.iter().map(|&class| classes.name(class)).collect())
    }

    fn known(&self, i: usize) -> Option<bool> {
        self.known.as_ref()?.get(i).copied()
    }
}

/// Turns probabilities into lines.
struct Writer<'a> {
    format: RowFormat,
    /// Where the input lies is written.
    place: bool,
    proba: bool,
    classes: &'a Classes,
    caution: &'a Caution,
}

impl Writer<'_> {
    fn header(&self) -> Vec<u8> {
        if self.format == RowFormat::Jsonl {
            return Vec::new();
        }
        let mut fields: Vec<String> = ["row", "label", "probability"].map(String::from).to_vec();
        if self.place {
            fields.push("input".to_owned());
        }
        if self.caution.sets.is_some() {
            fields.push("set".to_owned());
        }
        if self.caution.open.is_some() {
            fields.push("known".to_owned());
        }
        if self.proba {
            fields.extend(self.classes.names().iter().map(|name| format!("p:{name}")));
        }
        csv::line(&fields)
    }

    fn lines(&self, rows: &[Row], proba: &Array2<f64>, doubts: &Doubts) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for (i, (row, proba)) in rows.iter().zip(proba.outer_iter()).enumerate() {
            let (best, probability) = most_likely(proba);
            let label = self.classes.name(best);
            match self.format {
                RowFormat::Csv => {
                    let mut fields =
                        vec![row.number.to_string(), label.to_owned(), shown(probability)];
                    if self.place {
                        fields.push(row.shown.clone());
                    }
                    fields.extend(doubts.set(i, self.classes).map(|set| set.join("|")));
                    fields.extend(doubts.known(i).map(|known| known.to_string()));
                    if self.proba {
                        fields.extend(proba.iter().map(|&p| shown(p)));
                    }
                    out.extend(csv::line(&fields));
                }
                RowFormat::Jsonl => {
                    let mut line =
                        json!({"row": row.number, "label": label, "probability": probability});
                    if self.place {
                        line["input"] = json!(row.shown);
                    }
                    if let Some(set) = doubts.set(i, self.classes) {
                        line["set"] = json!(set);
                    }
                    if let Some(known) = doubts.known(i) {
                        line["known"] = json!(known);
                    }
                    if self.proba {
                        let pairs = self.classes.names().iter().zip(proba);
                        let all: Map<String, Value> =
                            pairs.map(|(name, &p)| (name.clone(), json!(p))).collect();
                        line["probabilities"] = Value::Object(all);
                    }
                    out.extend(line.to_string().into_bytes());
                    out.push(b'\n');
                }
            }
        }
        Ok(out)
    }
}

/// Six decimals: far beyond what a probability learned from examples is worth.
fn shown(probability: f64) -> String {
    format!("{probability:.6}")
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn lines_hold_row_label_and_probability() {
        let classes = Classes::new(vec!["a,b".into(), "c".into()]).unwrap();
        let rows = [Row::text(7, "x".into(), None)];
        let found = array![[0.75, 0.25]];
        let lines = |format, proba_wanted| {
            let caution = Caution { sets: None, open: None, calibration: None };
            let proba = proba_wanted;
            let writer =
                Writer { format, place: false, proba, classes: &classes, caution: &caution };
            let doubts = Doubts { sets: None, known: None };
            let mut bytes = writer.header();
            bytes.extend(writer.lines(&rows, &found, &doubts).unwrap());
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(lines(RowFormat::Csv, false), "row,label,probability\n7,\"a,b\",0.750000\n");
        assert_eq!(
            lines(RowFormat::Csv, true),
            "row,label,probability,\"p:a,b\",p:c\n7,\"a,b\",0.750000,0.750000,0.250000\n"
        );
        let object: Value = serde_json::from_str(&lines(RowFormat::Jsonl, true)).unwrap();
        assert_eq!(
            object,
            json!({"row": 7, "label": "a,b", "probability": 0.75,
                   "probabilities": {"a,b": 0.75, "c": 0.25}})
        );
    }
}
