//! Reading examples back, each value checked.

use std::collections::VecDeque;

use ndarray::Array2;
use offshoot_adapters::EncoderTag;
use rusqlite::{Connection, OptionalExtension, Row};

use super::example::{
    Example, ExampleId, from_blob, from_milliseconds, label_problem, source_problem, weight_problem,
};
use super::{MAX_DIMENSIONS, Store, StoreInfo};
use crate::error::{Error, Result};

/// Examples that are read from the file at a time.
const PAGE: i64 = 256;

/// Which examples are wanted; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExampleFilter {
    /// Only those with this label.
    pub label: Option<String>,
    /// Only those of this source.
    pub source: Option<String>,
}

/// All labelled examples of one revision, for fitting a head.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The revision.
    pub revision: i64,
    /// Kind of the head that is to be fitted.
    pub head: String,
    /// Number of each example.
    pub ids: Vec<ExampleId>,
    /// Embeddings, `[examples, dimensions]`.
    pub embeddings: Array2<f32>,
    /// Label of each row.
    pub labels: Vec<String>,
    /// Weight of each row.
    pub weights: Vec<f64>,
}

impl Store {
    /// The examples in the order in which they were taught. Read from the file a part at a
    /// time, so that any number fits into memory; updates meanwhile are seen or not.
    pub fn examples(&self, filter: &ExampleFilter) -> Examples<'_> {
        Examples {
            store: self,
            filter: filter.clone(),
            page: VecDeque::new(),
            last: i64::MIN,
            over: false,
        }
    }

    /// The example with this number.
    ///
    /// # Errors
    /// [`Error::NoExample`]; [`Error::Store`] when it is damaged; [`Error::Io`],
    /// [`Error::Busy`].
    pub fn example(&self, id: ExampleId) -> Result<Example> {
        let sql = format!("SELECT {COLUMNS} FROM example WHERE id = ?1");
        let found = self
            .connection
            .query_row(&sql, [id.0], |row| Ok(self.checked(row)))
            .optional()
            .map_err(self.failure("read"))?;
        found.unwrap_or_else(|| {
            Err(Error::NoExample { what: id.to_string(), path: self.path.clone() })
        })
    }

    /// How many examples there are, without a label too.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Io`], [`Error::Busy`].
    pub fn len(&self) -> Result<u64> {
        let count: i64 = self
            .connection
            .query_row("SELECT count(*) FROM example", [], |row| row.get(0))
            .map_err(self.failure("read"))?;
        Ok(count.unsigned_abs())
    }

    /// Whether there is no example.
    ///
    /// # Errors
    /// As [`Store::len`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Each label with the number of its examples, in the order of the labels; `None` stands
    /// for those without one, which come first.
    ///
    /// # Errors
    /// As [`Store::len`].
    pub fn labels(&self) -> Result<Vec<(Option<String>, u64)>> {
        let read = || -> rusqlite::Result<Vec<(Option<String>, i64)>> {
            let mut statement = self
                .connection
                .prepare("SELECT label, count(*) FROM example GROUP BY label ORDER BY label")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let labels = read().map_err(self.failure("read"))?;
        Ok(labels.into_iter().map(|(label, count)| (label, count.unsigned_abs())).collect())
    }

    /// Embeddings, labels and weights of all labelled examples, as they were at one moment.
    ///
    /// # Errors
    /// As [`Store::example`].
    pub fn labelled(&self) -> Result<Labelled> {
        // One transaction: the revision is that of the examples.
        let transaction = self.connection.unchecked_transaction().map_err(self.failure("read"))?;
        let labelled = self.read_labelled();
        drop(transaction);
        labelled
    }

    /// The same within a transaction that is open.
    pub(super) fn read_labelled(&self) -> Result<Labelled> {
        let failed = self.failure("read");
        let width = self.info.encoder.dimensions;
        let (revision, head) = self
            .connection
            .query_row("SELECT revision, head FROM learner", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(&failed)?;
        let (mut values, mut labels, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut ids = Vec::new();
        let sql =
            format!("SELECT {COLUMNS_TO_FIT} FROM example WHERE label IS NOT NULL ORDER BY id");
        let mut statement = self.connection.prepare(&sql).map_err(&failed)?;
        let mut rows = statement.query([]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let example = self.checked(row)?;
            ids.push(example.id);
            values.extend(example.embedding);
            labels.extend(example.label);
            weights.push(example.weight);
        }
        let embeddings = Array2::from_shape_vec((labels.len(), width), values)
            .map_err(|error| self.bad(error.to_string()))?;
        Ok(Labelled { revision, head, ids, embeddings, labels, weights })
    }

    /// The example of a row of [`COLUMNS`].
    pub(super) fn checked(&self, row: &Row<'_>) -> Result<Example> {
        let id: i64 = row.get(0).map_err(self.failure("read"))?;
        let damaged = |reason: String| self.bad(format!("example {id} is damaged: {reason}"));
        example(row, id, self.info.encoder.dimensions)
            .map_err(|error| damaged(error.to_string()))?
            .map_err(damaged)
    }
}

/// Columns of [`Example`], in order.
const COLUMNS: &str = "id, embedding, label, weight, time, source, text";
/// The same without what a head does not see, which may be large.
pub(super) const COLUMNS_TO_FIT: &str = "id, embedding, label, weight, time, NULL, NULL";

fn example(row: &Row<'_>, id: i64, dimensions: usize) -> rusqlite::Result<Result<Example, String>> {
    let embedding = from_blob(row.get_ref(1)?.as_blob()?, dimensions);
    let (label, weight): (Option<String>, f64) = (row.get(2)?, row.get(3)?);
    let time = from_milliseconds(row.get(4)?);
    let (source, text): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    let problem = label
        .as_deref()
        .and_then(label_problem)
        .or_else(|| source.as_deref().and_then(source_problem))
        .or_else(|| weight_problem(weight));
    if let Some(problem) = problem {
        return Ok(Err(problem));
    }
    let Some(time) = time else { return Ok(Err("its time is out of range".into())) };
    let id = ExampleId(id);
    Ok(embedding.map(|embedding| Example { id, embedding, label, weight, time, source, text }))
}

/// The one row that says what the learner is about, or what is wrong with it.
pub(super) fn info(connection: &Connection) -> rusqlite::Result<Result<StoreInfo, String>> {
    let sql = "SELECT encoder_digest, encoder_name, dimensions, prompt, head, keeps_text
               FROM learner";
    let found = connection
        .query_row(sql, [], |row| {
            let encoder = EncoderTag {
                digest: row.get(0)?,
                name: row.get(1)?,
                dimensions: usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                prompt: row.get(3)?,
            };
            Ok(StoreInfo { encoder, head: row.get(4)?, keeps_text: row.get(5)? })
        })
        .optional()?;
    Ok(match found {
        None => Err("it does not say which encoder it belongs to".into()),
        Some(StoreInfo { encoder, .. })
            if encoder.dimensions == 0 || encoder.dimensions > MAX_DIMENSIONS =>
        {
            Err("its number of dimensions is out of range".into())
        }
        Some(info) => Ok(info),
    })
}

/// Examples of a store, in order; ends after the first error.
#[derive(Debug)]
pub struct Examples<'a> {
    store: &'a Store,
    filter: ExampleFilter,
    page: VecDeque<Example>,
    last: i64,
    over: bool,
}

impl Examples<'_> {
    /// Only those after this one, which are found without reading those before. O(log n).
    #[must_use]
    pub fn after(mut self, id: ExampleId) -> Self {
        self.page.retain(|example| example.id > id);
        self.last = self.last.max(id.0);
        self
    }

    fn next_page(&mut self) -> Result<()> {
        let failed = self.store.failure("read");
        let sql = format!(
            "SELECT {COLUMNS} FROM example
             WHERE id > ?1 AND (?2 IS NULL OR label = ?2) AND (?3 IS NULL OR source = ?3)
             ORDER BY id LIMIT {PAGE}"
        );
        let mut statement = self.store.connection.prepare(&sql).map_err(&failed)?;
        let mut rows = statement
            .query((self.last, &self.filter.label, &self.filter.source))
            .map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            self.page.push_back(self.store.checked(row)?);
        }
        Ok(())
    }
}

impl Iterator for Examples<'_> {
    type Item = Result<Example>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.over {
            if let Err(error) = self.next_page() {
                self.over = true;
                return Some(Err(error));
            }
            self.over = self.page.is_empty();
        }
        let example = self.page.pop_front()?;
        self.last = example.id.0;
        Some(Ok(example))
    }
}
