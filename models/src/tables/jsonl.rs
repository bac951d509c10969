//! One JSON object a line.

use serde_json::{Map, Value};

use super::columns::{LABEL, choose, list};
use super::lines::{Line, Lines, not_utf8, too_long};
use super::source::Opened;
use super::{Blame, Reader, Record, Step, TableOptions};
use crate::error::Error;

/// The keys in use. The first object decides about the text's; objects without a label may
/// come before and between those with one.
struct Keys {
    text: String,
    /// The first of them that an object has is its label.
    labels: Vec<String>,
    /// Keys of the first object, for messages.
    first: String,
}

pub(super) struct JsonlReader {
    lines: Lines,
    options: TableOptions,
    keys: Option<Keys>,
    label_seen: bool,
    blame: Blame,
}

impl JsonlReader {
    pub(super) fn new(opened: Opened, options: &TableOptions) -> Self {
        Self {
            lines: Lines::new(opened.input),
            options: options.clone(),
            keys: None,
            label_seen: false,
            blame: opened.blame,
        }
    }

    fn parse(&self) -> Result<Map<String, Value>, String> {
        let line = std::str::from_utf8(&self.lines.buffer).map_err(not_utf8)?;
        match serde_json::from_str(line) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err("it is not a JSON object".into()),
            Err(e) => Err(format!("it is not JSON ({e})")),
        }
    }

    fn choose(&self, object: &Map<String, Value>) -> Result<Keys, Error> {
        let names: Vec<&str> = object.keys().map(String::as_str).collect();
        let unnamed = TableOptions { label: None, ..self.options.clone() };
        let (text, label) = choose(&names, &unnamed, &self.blame)?;
        let text = names[text].to_owned();
        let labels = match &self.options.label {
            Some(name) => vec![name.clone()],
            None => {
                let found = label.map(|label| names[label].to_owned());
                let usual = LABEL.iter().map(|&name| name.to_owned());
                found.into_iter().chain(usual).filter(|name| *name != text).collect()
            }
        };
        Ok(Keys { text, labels, first: list(&names) })
    }

    /// A label that was asked for and that no object had is a wrong name.
    fn end(&self) -> Step {
        match (&self.options.label, &self.keys) {
            (Some(name), Some(keys)) if !self.label_seen => Step::Fatal(self.blame.table(format!(
                "no object has the key `{name}`; the keys of the first one are {}",
                keys.first
            ))),
            _ => Step::End,
        }
    }

    fn record(&mut self, keys: &Keys, mut object: Map<String, Value>) -> Result<Record, String> {
        let text = match object.remove(&keys.text) {
            Some(Value::String(text)) => text,
            Some(other) => {
                return Err(format!("`{}` is {}, not a string", keys.text, kind(&other)));
            }
            None => {
                let names: Vec<&str> = object.keys().map(String::as_str).collect();
                return Err(format!(
                    "it has no key `{}`; its keys are {}",
                    keys.text,
                    list(&names)
                ));
            }
        };
        let found = keys.labels.iter().find_map(|key| Some((key, object.remove(key)?)));
        let Some((key, label)) = found else { return Ok((text, None)) };
        self.label_seen = true;
        let label = match label {
            Value::Null => None,
            Value::String(label) => Some(label).filter(|label| !label.is_empty()),
            label @ (Value::Number(_) | Value::Bool(_)) => Some(label.to_string()),
            Value::Array(labels) => joined(key, labels, self.options.label_separator.as_deref())?,
            other => return Err(format!("`{key}` is {}, not a label", kind(&other))),
        };
        Ok((text, label))
    }
}

/// Several labels with the separator between them.
fn joined(
    key: &str,
    labels: Vec<Value>,
    separator: Option<&str>,
) -> Result<Option<String>, String> {
    let separator = separator.ok_or_else(|| format!("`{key}` is an array, not a label"))?;
    let mut all = Vec::new();
    for label in labels {
        match label {
            Value::String(label) if label.contains(separator) => {
                return Err(format!(
                    "`{key}` has the label {label:?}, which holds the separator {separator:?}; \
                     choose another"
                ));
            }
            Value::String(label) => all.push(label),
            other => return Err(format!("`{key}` holds {}, not a label", kind(&other))),
        }
    }
    Ok(Some(all.join(separator)).filter(|labels| !labels.is_empty()))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl Reader for JsonlReader {
    fn next(&mut self, number: u64) -> Step {
        let broken = |lines: &Lines, reason: String| {
            Step::Broken(self.blame.record(number, lines.number, reason))
        };
        loop {
            match self.lines.next() {
                Ok(Line::End) => return self.end(),
                Err(e) => return Step::Fatal(self.blame.read(e)),
                Ok(Line::TooLong) => return broken(&self.lines, too_long()),
                Ok(Line::Read) if self.lines.buffer.trim_ascii().is_empty() => {}
                Ok(Line::Read) => break,
            }
        }
        let object = match self.parse() {
            Ok(object) => object,
            Err(reason) => return broken(&self.lines, reason),
        };
        let keys = match self.keys.take() {
            Some(keys) => keys,
            None => match self.choose(&object) {
                Ok(keys) => keys,
                Err(error) => return Step::Fatal(error),
            },
        };
        let record = self.record(&keys, object);
        self.keys = Some(keys);
        match record {
            Ok(record) => Step::Record(record),
            Err(reason) => Step::Broken(self.blame.record(number, self.lines.number, reason)),
        }
    }
}
