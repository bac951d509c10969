//! Examples that lie one after another in one file or in memory: what every reader of
//! records gives.

use std::collections::HashMap;

use ndarray::Array2;
use offshoot::Image;

use super::element::Element;
use super::store::{Memory, Spool, Store};
use super::{Dataset, Example, Kind, LeftOut};
use crate::error::{Error, Result};

/// The labels of examples, each name held once.
#[derive(Debug, Default)]
pub(super) struct Labels {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Of each example from the first on; [`NONE`] for none. May be shorter than the examples.
    of: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Labels {
    /// Sets the label of example `index`; examples come in order.
    pub(super) fn push(&mut self, index: usize, label: Option<&str>) {
        let Some(label) = label else { return };
        let number = match self.numbers.get(label) {
            Some(&number) => number,
            None => {
                let number = self.names.len() as u32;
                self.names.push(label.to_owned());
                self.numbers.insert(label.to_owned(), number);
                number
            }
        };
        self.of.resize(index, NONE);
        self.of.push(number);
    }

    pub(super) fn get(&self, index: usize) -> Option<&str> {
        self.names.get(*self.of.get(index)? as usize).map(String::as_str)
    }
}

/// How an example lies in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// UTF-8.
    Text,
    /// An image file.
    Image,
    /// Raw grey pixels.
    Grey {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The number of channels as `u32`, then the values `[channels, length]` as `f32`, all
    /// little-endian.
    Signal,
    /// The values `[channels, length]` of a signal.
    Values {
        /// Channels.
        channels: usize,
        /// Type of the values.
        element: Element,
    },
    /// The values `[length, channels]` as `f32`: a window of a recording.
    Steps {
        /// Channels.
        channels: usize,
    },
}

/// What counts the examples of a source for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Record,
    Line,
    Row,
    /// An image, a window and so on; counted from 1.
    Number(&'static str),
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Line => "line",
            Self::Row => "row",
            Self::Number(name) => name,
        }
    }
}

/// An indexed set of records.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) source_name: String,
    pub(super) coding: Coding,
    pub(super) unit: Unit,
    store: Store,
    offsets: Vec<u64>,
    lengths: Vec<u32>,
    /// What a message calls each example, where it is not its number from 1.
    places: Vec<u32>,
    labels: Labels,
    left_out: LeftOut,
    digest: String,
}

/// Collects [`Records`].
#[derive(Debug)]
pub(super) struct Builder {
    records: Records,
    spool: Spool,
}

impl Builder {
    pub(super) fn new(source_name: impl Into<String>, coding: Coding, unit: Unit) -> Self {
        let records = Records {
            source_name: source_name.into(),
            coding,
            unit,
            store: Store::Memory(Memory::default()),
            offsets: Vec::new(),
            lengths: Vec::new(),
            places: Vec::new(),
            labels: Labels::default(),
            left_out: LeftOut::default(),
            digest: String::new(),
        };
        Self { records, spool: Spool::default() }
    }

    /// Adds an example that lies `offset` bytes into the store that `finish_in` is given.
    pub(super) fn index(&mut self, offset: u64, length: u32, place: u64, label: Option<&str>) {
        let records = &mut self.records;
        let index = records.offsets.len();
        records.labels.push(index, label);
        records.offsets.push(offset);
        records.lengths.push(length);
        // Most sources have no gap; their places are numbers.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        if !records.places.is_empty() || u64::from(place) != index as u64 + 1 {
            if records.places.is_empty() {
                records.places.extend((1..=index as u64).map(|n| n as u32));
            }
            records.places.push(place);
        }
    }

    /// Adds an example by its bytes.
    ///
    /// # Errors
    /// Those of the spool.
    pub(super) fn push(&mut self, bytes: &[u8], place: u64, label: Option<&str>) -> Result<()> {
        let Ok(length) = u32::try_from(bytes.len()) else {
            self.leave_out(place, "it has 4 GiB or more");
            return Ok(());
        };
        self.index(self.spool.len(), length, place, label);
        self.spool.push(bytes)
    }

    /// Adds a signal `[channels, length]`, or leaves it out where it has no value.
    ///
    /// # Errors
    /// Those of the spool.
    pub(super) fn push_signal(
        &mut self,
        channels: usize,
        values: impl ExactSizeIterator<Item = f32>,
        place: u64,
        label: Option<&str>,
    ) -> Result<()> {
        if values.len() == 0 || channels == 0 {
            self.leave_out(place, "it has no values");
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(4 + 4 * values.len());
        bytes.extend((channels as u32).to_le_bytes());
        bytes.extend(values.flat_map(f32::to_le_bytes));
        self.push(&bytes, place, label)
    }

    /// Counts an example that cannot be read.
    pub(super) fn leave_out(&mut self, place: u64, reason: &str) {
        let records = &self.records;
        let message = format!("{}, {} {place}: {reason}", records.source_name, records.unit.name());
        self.records.left_out.add(message);
    }

    /// Counts a record that a reader of tables refused.
    pub(super) fn leave_out_error(&mut self, error: &Error) {
        self.records.left_out.add(error.to_string());
    }

    pub(super) fn coding(&self) -> Coding {
        self.records.coding
    }

    /// The records that were pushed.
    ///
    /// # Errors
    /// Those of the spool, and [`Error::Table`] when there is none.
    pub(super) fn finish(self, digest: String, format: &'static str) -> Result<Records> {
        let store = self.spool.finish()?;
        Self { records: self.records, spool: Spool::default() }.finish_in(store, digest, format)
    }

    /// The records that were indexed.
    ///
    /// # Errors
    /// [`Error::Table`] when there is none.
    pub(super) fn finish_in(
        self,
        store: Store,
        digest: String,
        format: &'static str,
    ) -> Result<Records> {
        let mut records = self.records;
        if records.offsets.is_empty() {
            let reason = match records.left_out.named.first() {
                Some(first) => {
                    format!("none of its {} examples can be read: {first}", records.left_out.count)
                }
                None => "it holds no examples".into(),
            };
            return Err(Error::Table { source_name: records.source_name, format, reason });
        }
        records.offsets.shrink_to_fit();
        records.lengths.shrink_to_fit();
        records.labels.numbers = HashMap::new();
        records.store = store;
        records.digest = digest;
        Ok(records)
    }
}

impl Records {
    fn decode(&self, bytes: Vec<u8>) -> std::result::Result<Example, String> {
        Ok(match self.coding {
            Coding::Text => {
                Example::Text(String::from_utf8(bytes).map_err(|e| format!("not UTF-8: {e}"))?)
            }
            Coding::Image => Example::Image(decode_image(&bytes)?),
            Coding::Grey { height, width } => {
                Example::Image(Image::new(height, width, 1, bytes).map_err(|e| e.to_string())?)
            }
            Coding::Signal => {
                let (head, values) = bytes.split_first_chunk().ok_or("it is cut short")?;
                let channels = u32::from_le_bytes(*head) as usize;
                signal(channels, Element::F32.decode(values))?
            }
            Coding::Values { channels, element } => signal(channels, element.decode(&bytes))?,
            Coding::Steps { channels } => {
                let values = Element::F32.decode(&bytes);
                let shape = (values.len() / channels.max(1), channels);
                let steps = Array2::from_shape_vec(shape, values).map_err(|e| e.to_string())?;
                Example::Signal(steps.reversed_axes().as_standard_layout().into_owned())
            }
        })
    }
}

fn signal(channels: usize, values: Vec<f32>) -> std::result::Result<Example, String> {
    let shape = (channels, values.len() / channels.max(1));
    Ok(Example::Signal(Array2::from_shape_vec(shape, values).map_err(|e| e.to_string())?))
}

/// Decodes an image; a decoder that panics on a damaged one is an error too.
pub(super) fn decode_image(bytes: &[u8]) -> std::result::Result<Image, String> {
    match std::panic::catch_unwind(|| Image::decode(bytes)) {
        Ok(image) => image.map_err(|e| e.to_string()),
        Err(_) => Err("the image cannot be decoded: its parts contradict themselves".into()),
    }
}

/// The error of an example that does not exist.
pub(super) fn no_example(index: usize, len: usize) -> Error {
    Error::Argument(format!("there is no example {index}; the data has {len}"))
}

impl Dataset for Records {
    fn kind(&self) -> Kind {
        match self.coding {
            Coding::Text => Kind::Text,
            Coding::Image | Coding::Grey { .. } => Kind::Image,
            Coding::Signal | Coding::Values { .. } | Coding::Steps { .. } => Kind::Signal,
        }
    }

    fn len(&self) -> usize {
        self.offsets.len()
    }

    fn get(&self, index: usize) -> Result<Example> {
        let (Some(&offset), Some(&length)) = (self.offsets.get(index), self.lengths.get(index))
        else {
            return Err(no_example(index, self.len()));
        };
        let bytes = self
            .store
            .read(offset, length as usize)
            .map_err(|e| Error::io("read", self.locate(index), e))?;
        self.decode(bytes).map_err(|reason| Error::Example { place: self.locate(index), reason })
    }

    fn label(&self, index: usize) -> Option<&str> {
        self.labels.get(index)
    }

    fn locate(&self, index: usize) -> String {
        let place = self.places.get(index).map_or(index as u64 + 1, |&place| u64::from(place));
        format!("{}, {} {place}", self.source_name, self.unit.name())
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn left_out(&self) -> LeftOut {
        self.left_out.clone()
    }
}
