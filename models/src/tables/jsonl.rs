//! One JSON object a line.

use serde_json::{Map, Value};

use super::columns::{choose, list};
use super::lines::{Line, Lines, not_utf8, too_long};
use super::source::Opened;
use super::{Blame, Reader, Record, Step, TableOptions};
use crate::error::Error;

/// The keys in use. The first object decides about those that were not named.
struct Keys {
    text: String,
    label: Option<String>,
}

pub(super) struct JsonlReader {
    lines: Lines,
    options: TableOptions,
    keys: Option<Keys>,
    blame: Blame,
}

impl JsonlReader {
    pub(super) fn new(opened: Opened, options: &TableOptions) -> Self {
        Self {
            lines: Lines::new(opened.input),
            options: options.clone(),
            keys: None,
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
        let (text, label) = choose(&names, &self.options, &self.blame)?;
        Ok(Keys { text: names[text].into(), label: label.map(|label| names[label].into()) })
    }

    fn record(&self, keys: &Keys, mut object: Map<String, Value>) -> Result<Record, String> {
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
        let Some(key) = &keys.label else { return Ok((text, None)) };
        let label = match object.remove(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(label)) => Some(label).filter(|label| !label.is_empty()),
            Some(label @ (Value::Number(_) | Value::Bool(_))) => Some(label.to_string()),
            Some(other) => return Err(format!("`{key}` is {}, not a label", kind(&other))),
        };
        Ok((text, label))
    }
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
                Ok(Line::End) => return Step::End,
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
