//! Small JSON files of a published folder, with errors that name file and key.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The largest configuration file that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Reads a whole file that should be small.
pub(crate) fn read_small(path: &Path, max: u64) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path).map_err(Error::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > max {
        return Err(Error::Json {
            path: path.into(),
            reason: format!("it is larger than {max} bytes, so it is not what its name says"),
        });
    }
    Ok(bytes)
}

/// A JSON object and the file that it came from.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    path: PathBuf,
    map: Map<String, Value>,
}

impl Object {
    /// Reads a file that must exist.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &read_small(path, MAX_BYTES)?)
    }

    /// Reads a file, or gives an empty object where there is none.
    pub(crate) fn read_or_empty(path: &Path) -> Result<Self> {
        if path.is_file() {
            return Self::read(path);
        }
        Ok(Self { path: path.into(), map: Map::new() })
    }

    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        match read_value(path, bytes)? {
            Value::Object(map) => Ok(Self { path: path.into(), map }),
            other => Err(Error::Json {
                path: path.into(),
                reason: format!("it holds {} where an object is expected", kind(&other)),
            }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The object as a plain JSON value.
    pub(crate) fn value(&self) -> Value {
        Value::Object(self.map.clone())
    }

    /// A key's value; absent and `null` are the same.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a string", Value::as_str)
    }

    /// A whole number that is not negative.
    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>> {
        self.typed(key, "a whole number that is not negative", |value| {
            value.as_u64().and_then(|n| usize::try_from(n).ok())
        })
    }

    /// A whole number that must be there.
    pub(crate) fn required_count(&self, key: &str) -> Result<usize> {
        self.count(key)?
            .filter(|&n| n > 0)
            .ok_or_else(|| self.error(key, "is missing or 0; a positive number is expected"))
    }

    pub(crate) fn error(&self, key: &str, reason: impl Into<String>) -> Error {
        Error::key(&self.path, key, reason)
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        convert(value)
            .map(Some)
            .ok_or_else(|| self.error(key, format!("is {} and should be {expected}", brief(value))))
    }
}

/// Parses JSON; the error says where in the file it stops being JSON.
pub(crate) fn read_value(path: &Path, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| Error::Json {
        path: path.into(),
        reason: format!("it is not valid JSON: {error}"),
    })
}

/// What kind of value this is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The value itself where it is short, else its kind.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= 60 { format!("`{text}`") } else { kind(value).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object {
        Object::parse(Path::new("folder/config.json"), text.as_bytes()).unwrap()
    }

    #[test]
    fn wrong_types_are_named_with_file_and_key() {
        let config = object(r#"{"size": -3, "name": 4, "flag": "yes", "none": null}"#);
        let message = config.count("size").unwrap_err().to_string();
        assert!(message.contains("config.json: `size` is `-3`"), "{message}");
        assert!(config.text("name").unwrap_err().to_string().contains("a string"));
        assert!(config.bool("flag").unwrap_err().to_string().contains("true or false"));
        assert_eq!(config.count("none").unwrap(), None);
        assert!(config.required_count("absent").is_err());
    }

    #[test]
    fn broken_json_says_where() {
        let broken = Object::parse(Path::new("config.json"), b"{\"a\": 1,\n \"b\": }");
        let message = broken.unwrap_err().to_string();
        assert!(message.contains("config.json") && message.contains("line 2"), "{message}");
        let list = Object::parse(Path::new("config.json"), b"[1]").unwrap_err().to_string();
        assert!(list.contains("a list where an object"), "{list}");
    }
}
