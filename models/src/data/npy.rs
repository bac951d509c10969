//! NumPy's `.npy`: signals `[n, channels, length]` or `[n, length]`; with a window, one
//! recording `[channels, length]` or `[length]`. Values are read where they lie.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::element::Element;
use super::recording::Recording;
use super::records::{Builder, Coding, Records, Unit};
use super::store::Store;
use super::{DataOptions, digest};
use crate::error::{Error, Result};

const FORMAT: &str = "a NumPy file";

/// Time steps of a recording that are turned at once.
const BLOCK: usize = 1 << 14;

/// Opens a file of signals.
///
/// # Errors
/// [`Error::Io`]; [`Error::Table`] when the header is broken, of a type or order that is not
/// read, or does not fit the file's size.
pub(super) fn open(path: &Path, options: &DataOptions) -> Result<Records> {
    let name = path.display().to_string();
    let bad = |reason: String| Error::Table { source_name: name.clone(), format: FORMAT, reason };
    let io = |e| Error::io("read", path, e);
    let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let size = file.metadata().map_err(io)?.len();
    let header = read_header(&mut file).map_err(io)?.map_err(bad)?;
    let Header { element, shape, start } = header;
    let values = shape.iter().try_fold(1u64, |n, &size| n.checked_mul(size));
    let wanted = values
        .and_then(|n| n.checked_mul(element.size() as u64))
        .and_then(|n| n.checked_add(start));
    if wanted != Some(size) {
        return Err(bad(format!("its header says {shape:?} values and the file has {size} bytes")));
    }
    let digest = digest::of_file(path)?;
    let store = Store::File(file);
    if let Some(window) = options.window {
        let (channels, length) = match shape[..] {
            [length] => (1, length),
            [channels, length] => (channels, length),
            _ => {
                return Err(bad(format!(
                    "it has the shape {shape:?}; windows are cut from a recording [channels, length]"
                )));
            }
        };
        let mut recording = Recording::new(channels as usize, window, options.stride);
        turn(&store, start, element, (channels as usize, length), &mut recording).map_err(|e| {
            match e {
                Turned::Read(e) => io(e),
                Turned::Spool(e) => e,
            }
        })?;
        return recording.finish(name.clone(), digest, FORMAT);
    }
    let (count, channels, length) = match shape[..] {
        [count, length] => (count, 1, length),
        [count, channels, length] => (count, channels, length),
        _ => {
            return Err(bad(format!(
                "it has the shape {shape:?}; expected is [n, channels, length], [n, length], or a recording [channels, length] with a window"
            )));
        }
    };
    let bytes = channels.checked_mul(length).and_then(|n| n.checked_mul(element.size() as u64));
    let bytes = bytes.and_then(|n| u32::try_from(n).ok()).filter(|&n| n > 0);
    let bytes = bytes.ok_or_else(|| {
        bad(format!("signals of {channels} channels and {length} steps cannot be read"))
    })?;
    let coding = Coding::Values { channels: channels as usize, element };
    let mut builder = Builder::new(name.clone(), coding, Unit::Row);
    for number in 0..count {
        builder.index(start + number * u64::from(bytes), bytes, number + 1, None);
    }
    builder.finish_in(store, digest, FORMAT)
}

/// What went wrong while a recording was turned.
enum Turned {
    Read(std::io::Error),
    Spool(Error),
}

/// Turns `[channels, length]` into steps, a block at a time.
fn turn(
    store: &Store,
    start: u64,
    element: Element,
    (channels, length): (usize, u64),
    recording: &mut Recording,
) -> std::result::Result<(), Turned> {
    let size = element.size() as u64;
    let mut at = 0;
    let mut step = vec![0.0; channels];
    while at < length {
        let steps = (length - at).min(BLOCK as u64) as usize;
        let mut block = Vec::with_capacity(channels);
        for channel in 0..channels as u64 {
            let offset = start + (channel * length + at) * size;
            let bytes = store.read(offset, steps * size as usize).map_err(Turned::Read)?;
            block.push(element.decode(&bytes));
        }
        for t in 0..steps {
            step.iter_mut().zip(&block).for_each(|(to, channel)| *to = channel[t]);
            recording.push(&step, None).map_err(Turned::Spool)?;
        }
        at += steps as u64;
    }
    Ok(())
}

struct Header {
    element: Element,
    shape: Vec<u64>,
    /// Where the values begin.
    start: u64,
}

/// Reads the header; the inner error says what is wrong with it.
fn read_header(file: &mut File) -> std::io::Result<std::result::Result<Header, String>> {
    let mut head = [0; 8];
    let mut text = Vec::new();
    let mut start = 10;
    let mut read = || -> std::io::Result<bool> {
        file.read_exact(&mut head)?;
        if head[..6] != *b"\x93NUMPY" || !(1..=3).contains(&head[6]) {
            return Ok(false);
        }
        let mut length = [0; 4];
        let wide = usize::from(head[6] > 1) * 2 + 2;
        file.read_exact(&mut length[..wide])?;
        let length = u64::from(u32::from_le_bytes(length)).min(1 << 20);
        start = 8 + wide as u64 + length;
        Ok(file.take(length).read_to_end(&mut text)? as u64 == length)
    };
    match read() {
        Ok(true) => {}
        Ok(false) => return Ok(Err("it does not begin as one".into())),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Ok(Err("its header is cut short".into()));
        }
        Err(e) => return Err(e),
    }
    Ok(parse(&String::from_utf8_lossy(&text), start))
}

/// Reads a header such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse(text: &str, start: u64) -> std::result::Result<Header, String> {
    let after = |key: &str| {
        let (_, rest) = text.split_once(&format!("'{key}':"))?;
        Some(rest.trim_start())
    };
    let broken = || format!("its header is broken: {}", text.chars().take(80).collect::<String>());
    let descr = after("descr").and_then(|rest| rest.strip_prefix('\'')).ok_or_else(broken)?;
    let (descr, _) = descr.split_once('\'').ok_or_else(broken)?;
    let element = Element::from_numpy(descr)
        .ok_or_else(|| format!("its values are `{descr}`; convert them with `.astype('<f4')`"))?;
    if !after("fortran_order").ok_or_else(broken)?.starts_with("False") {
        return Err("its values are in Fortran order; save `numpy.ascontiguousarray` of it".into());
    }
    let shape = after("shape").and_then(|rest| rest.strip_prefix('(')).ok_or_else(broken)?;
    let (shape, _) = shape.split_once(')').ok_or_else(broken)?;
    let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape = sizes.map(str::parse).collect::<std::result::Result<Vec<u64>, _>>();
    Ok(Header { element, shape: shape.map_err(|_| broken())?, start })
}
