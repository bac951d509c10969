//! The report as a table for people.

use std::fmt;

use super::ParityReport;

impl fmt::Display for ParityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.modality.plural();
        let mut row = |name: &str, before: String, after: String, ratio: String| {
            writeln!(f, "{name:<28} {before:>12} {after:>12} {ratio:>12}")
        };
        let none = String::new;
        row("", "before".into(), "after".into(), none())?;
        let bytes = self.bytes;
        row("size, MB", mega(bytes.before), mega(bytes.after), times(bytes.ratio()))?;
        if let Some(speed) = &self.speed {
            let pair = speed.texts_a_second;
            let one = |value: f64| format!("{value:.1}");
            row(
                &format!("{what} a second"),
                one(pair.before),
                one(pair.after),
                times(speed.ratio),
            )?;
        }
        if let Some(memory) = &self.memory {
            let pair = memory.private_bytes;
            row("private memory, MB", mega(pair.before), mega(pair.after), times(pair.ratio()))?;
        }
        if let Some(few) = &self.few_shot {
            let percent = |value: f64| format!("{:.2} %", 100.0 * value);
            let points = 100.0 * (few.accuracy.after - few.accuracy.before);
            row(
                &format!("accuracy, {} examples", few.examples),
                percent(few.accuracy.before),
                percent(few.accuracy.after),
                format!("{points:+.2} points"),
            )?;
        }
        let cosine = self.cosine;
        let four = |value: f64| format!("{value:.4}");
        row("cosine, mean", none(), four(cosine.mean), none())?;
        row("cosine, 1st percentile", none(), four(cosine.first_percentile), none())?;
        row("cosine, least", none(), four(cosine.min), format!("row {}", cosine.worst_row))?;
        write!(f, "on {} {what}", self.texts)?;
        if let Some(speed) = &self.speed {
            write!(f, "; speed: median of {} runs of {} {what}", speed.rounds, speed.texts)?;
        }
        if let Some(few) = &self.few_shot {
            write!(
                f,
                "; accuracy: {} head, mean of {} draws, difference ± {:.2}",
                few.head,
                few.draws,
                100.0 * few.standard_error
            )?;
        }
        writeln!(f)
    }
}

fn mega(bytes: f64) -> String {
    format!("{:.2}", bytes / 1e6)
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2} ×")
}
