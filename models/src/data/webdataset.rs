//! WebDataset shards: tar archives in which files that lie one after another and have the
//! same name up to the first dot of their last part are one example. Images are read where
//! they lie.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::folder::EXTENSIONS;
use super::records::{Builder, Coding, Records, Unit};
use super::store::Store;
use super::{DataOptions, digest};
use crate::error::{Error, Result};

const FORMAT: &str = "a tar archive";

/// Most bytes of a label's file, or of a long name.
const MAX_SMALL: u64 = 1 << 20;

/// Indexes a shard. Examples are its images, or its `.txt` files where the first example has
/// no image. The label is what `.cls` holds, or the key `label` or `class` of `.json` (or the
/// one that the options name), or for images `.txt`.
///
/// # Errors
/// [`Error::Io`]; [`Error::Table`] when it is no archive or holds no example.
pub(super) fn open(path: &Path, options: &DataOptions) -> Result<Records> {
    let name = path.display().to_string();
    let io = |e| Error::io("read", path, e);
    let bad = |reason: String| Error::Table { source_name: name.clone(), format: FORMAT, reason };
    let mut archive =
        Archive::new(File::open(path).map_err(|e| Error::io("open", path, e))?).map_err(io)?;
    let mut builder: Option<Builder> = None;
    let mut sample = Sample::default();
    let mut damage = None;
    loop {
        let entry = match archive.next().map_err(io)? {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(reason) => {
                damage = Some(reason);
                break;
            }
        };
        let (key, extension) = parts(&entry.name);
        if key != sample.key {
            sample.finish(&mut builder, &name)?;
            sample = Sample { key: key.into(), place: sample.place + 1, ..Sample::default() };
        }
        let extension = extension.to_ascii_lowercase();
        let last = extension.rsplit('.').next().unwrap_or("");
        if EXTENSIONS.contains(&last) {
            sample.image = Some((entry.offset, entry.size));
        } else if ["cls", "txt", "json"].contains(&last) {
            let limit = if last == "txt" { crate::tables::MAX_RECORD as u64 } else { MAX_SMALL };
            if entry.size <= limit {
                let bytes = archive.read(&entry).map_err(io)?;
                sample.add(last, &bytes, options);
            }
            if last == "txt" {
                sample.text = Some((entry.offset, entry.size));
            }
        }
    }
    sample.finish(&mut builder, &name)?;
    let digest = digest::of_file(path)?;
    match (builder, damage) {
        (Some(mut builder), damage) => {
            if let Some(reason) = damage {
                builder.leave_out(sample.place + 1, &reason);
            }
            builder.finish_in(Store::Path(path.into()), digest, FORMAT)
        }
        (None, Some(reason)) => Err(bad(reason)),
        (None, None) => Err(bad("it holds no image and no .txt file".into())),
    }
}

/// What was found of one example.
#[derive(Default)]
struct Sample {
    key: String,
    place: u64,
    image: Option<(u64, u64)>,
    text: Option<(u64, u64)>,
    text_ok: bool,
    caption: Option<String>,
    class: Option<String>,
}

impl Sample {
    fn add(&mut self, extension: &str, bytes: &[u8], options: &DataOptions) {
        let text = std::str::from_utf8(bytes).map(str::trim).ok().filter(|text| !text.is_empty());
        match extension {
            "cls" => self.class = text.map(str::to_owned).or(self.class.take()),
            "txt" => {
                self.text_ok = text.is_some();
                // A caption serves as a label only where it is short.
                self.caption = text.filter(|text| text.len() <= 200).map(str::to_owned);
            }
            _ => {
                let json = serde_json::from_slice::<serde_json::Value>(bytes).ok();
                let value = json.as_ref().and_then(|json| match &options.label {
                    Some(key) => json.get(key),
                    None => json.get("label").or_else(|| json.get("class")),
                });
                let label = value.and_then(|value| match value {
                    serde_json::Value::String(text) => Some(text.clone()),
                    serde_json::Value::Number(number) => Some(number.to_string()),
                    serde_json::Value::Bool(flag) => Some(flag.to_string()),
                    _ => None,
                });
                self.class = self.class.take().or(label);
            }
        }
    }

    /// Adds the example, if it is one, to the records that the first one began.
    fn finish(&self, builder: &mut Option<Builder>, name: &str) -> Result<()> {
        if self.image.is_none() && self.text.is_none() {
            return Ok(());
        }
        let coding = if self.image.is_some() { Coding::Image } else { Coding::Text };
        let builder = builder.get_or_insert_with(|| Builder::new(name, coding, Unit::Record));
        let images = builder.coding() == Coding::Image;
        let place = if images { self.image } else { self.text };
        let label = self.class.as_ref().or(self.caption.as_ref().filter(|_| images));
        match place {
            Some(_) if !images && !self.text_ok => {
                builder.leave_out(self.place, "its text is blank or not UTF-8");
            }
            Some((offset, size)) => match u32::try_from(size) {
                Ok(size) if size > 0 => {
                    builder.index(offset, size, self.place, label.map(String::as_str));
                }
                _ => builder.leave_out(self.place, &format!("a file of {size} bytes")),
            },
            None => builder.leave_out(self.place, &format!("`{}` has no image", self.key)),
        }
        Ok(())
    }
}

/// A name up to the first dot of its last part, and what follows.
fn parts(name: &str) -> (&str, &str) {
    let base = name.rfind('/').map_or(0, |at| at + 1);
    match name[base..].find('.') {
        Some(dot) => (&name[..base + dot], &name[base + dot + 1..]),
        None => (name, ""),
    }
}

/// A file in an archive.
struct Entry {
    name: String,
    offset: u64,
    size: u64,
}

/// Reads the headers of an archive: POSIX ustar and pax, GNU long names.
struct Archive {
    file: File,
    len: u64,
    at: u64,
}

const BLOCK: u64 = 512;

impl Archive {
    fn new(file: File) -> io::Result<Self> {
        Ok(Self { len: file.metadata()?.len(), file, at: 0 })
    }

    /// The next regular file; none at the end, an inner error when the archive is damaged.
    fn next(&mut self) -> io::Result<std::result::Result<Option<Entry>, String>> {
        let mut long_name = None;
        let mut long_size = None;
        loop {
            let start = self.at;
            if start + BLOCK > self.len {
                let cut = start < self.len;
                return Ok(if cut { Err(self.damage(start)) } else { Ok(None) });
            }
            let mut header = [0; BLOCK as usize];
            self.file.seek(SeekFrom::Start(start))?;
            self.file.read_exact(&mut header)?;
            if header.iter().all(|&byte| byte == 0) {
                return Ok(Ok(None));
            }
            let size = if checksum_fits(&header) { number(&header[124..136]) } else { None };
            let kind = header[156];
            let size = long_size.filter(|_| matches!(kind, b'0' | 0)).or(size);
            let offset = start + BLOCK;
            let end = size.and_then(|size| offset.checked_add(size)).filter(|&end| end <= self.len);
            let (Some(size), Some(end)) = (size, end) else {
                return Ok(Err(self.damage(start)));
            };
            self.at = end.next_multiple_of(BLOCK);
            let entry = |name| Entry { name, offset, size };
            match kind {
                b'0' | 0 => {
                    let name = long_name.take().unwrap_or_else(|| ustar_name(&header));
                    return Ok(Ok(Some(entry(name))));
                }
                b'L' | b'x' if size > MAX_SMALL => return Ok(Err(self.damage(start))),
                b'L' => {
                    let bytes = self.read(&entry(String::new()))?;
                    long_name = Some(until_zero(&bytes));
                }
                b'x' => {
                    let bytes = self.read(&entry(String::new()))?;
                    for (key, value) in pax(&bytes) {
                        match key {
                            "path" => long_name = Some(value.to_owned()),
                            "size" => long_size = value.parse().ok(),
                            _ => {}
                        }
                    }
                }
                // Folders, links and the like belong to no example.
                _ => (long_name, long_size) = (None, None),
            }
        }
    }

    fn damage(&self, at: u64) -> String {
        format!("it is no archive, damaged or cut short from byte {at} on")
    }

    fn read(&mut self, entry: &Entry) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; entry.size as usize];
        self.file.seek(SeekFrom::Start(entry.offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The sum of the header's bytes, its own eight counted as spaces.
fn checksum_fits(header: &[u8]) -> bool {
    let own: u64 = header[148..156].iter().map(|&byte| u64::from(byte)).sum();
    let all: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    number(&header[148..156]) == Some(all - own + 8 * u64::from(b' '))
}

/// An octal number, or a binary one where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|&first| first & 0x80 != 0) {
        let (head, tail) = field.split_at(field.len().saturating_sub(8));
        let rest_zero = head.iter().enumerate().all(|(at, &b)| b == if at == 0 { 0x80 } else { 0 });
        return rest_zero.then(|| tail.iter().fold(0, |n, &b| n << 8 | u64::from(b)));
    }
    let text = until_zero(field);
    u64::from_str_radix(text.trim(), 8).ok()
}

fn until_zero(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn ustar_name(header: &[u8]) -> String {
    let name = until_zero(&header[..100]);
    let prefix = until_zero(&header[345..500]);
    // GNU's older format has times where the prefix is.
    if prefix.is_empty() || header[257..263] != *b"ustar\0" {
        return name;
    }
    format!("{prefix}/{name}")
}

/// Lines `length key=value`.
fn pax(bytes: &[u8]) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = bytes;
    loop {
        let Some(space) = rest.iter().position(|&byte| byte == b' ') else { return found };
        let length = std::str::from_utf8(&rest[..space]).ok().and_then(|n| n.parse().ok());
        let Some(line) = length.and_then(|length: usize| rest.get(space + 1..length)) else {
            return found;
        };
        rest = &rest[space + 1 + line.len()..];
        let line = std::str::from_utf8(line).ok().and_then(|line| line.trim_end().split_once('='));
        found.extend(line);
    }
}
