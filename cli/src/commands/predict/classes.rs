//! The class of each input.

use ndarray::{Array2, ArrayView2};
use offshoot_adapters::calibration::Calibration;
use offshoot_adapters::conformal::ConformalPredictor;
use offshoot_adapters::open_set::OpenSet;
use offshoot_adapters::{Classes, most_likely};
use serde_json::{Map, Value, json};

use super::{Args, Work, shown};
use crate::csv;
use crate::failure::Result;
use crate::head::Classifier;
use crate::inputs::Row;
use crate::rows::RowFormat;

/// Predicts by a head of classes or a learner.
pub(super) fn run(args: &Args, work: Work) -> Result {
    let classifier = Classifier::open(&args.bundle, &args.head, &args.encoder, args.truncate)?;
    let caution = Caution::new(args, &classifier)?;
    let writer = Writer {
        format: work.format,
        place: work.place,
        proba: args.proba,
        classes: classifier.file.head.classes(),
        caution: &caution,
    };
    work.each_part(&classifier.encoder, &classifier.options, &writer.header(), |rows, x| {
        let mut proba = classifier.predict_proba(x)?;
        if let Some(calibration) = &caution.calibration {
            proba = calibration.apply(proba.view())?;
        }
        writer.lines(rows, &proba, &caution.doubts(x)?)
    })
}

/// Knowing when not to know: what is said of an input besides a class.
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
        let sets = args.sets.predictor(learner, &classifier.file)?;
        let open = args.caution.rejection(learner, &classifier.file.encoder)?;
        let calibration = args.caution.calibration(learner)?;
        Ok(Self { sets, open, calibration })
    }

    fn doubts(&self, x: ArrayView2<'_, f32>) -> Result<Doubts> {
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
