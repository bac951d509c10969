//! What is inspected: a random sample of the data, its embeddings, and those of changed views.

use std::path::Path;

use ndarray::{Array2, Array3, Axis};
use offshoot::bundle::Manifest;
use offshoot::{EmbedOptions, Encoder};
use offshoot_adapters::Classes;
use offshoot_export::parity::Input;
use offshoot_models::data::{Example, Kind};
use offshoot_models::inspect::change;
use offshoot_models::inspect::raw;
use offshoot_models::inspect::report::{self, Changed, Sample};
use offshoot_models::random::SplitMix64;

use crate::failure::{Code, Failure, Result};
use crate::inputs::{self, Embedder, Row, Rows};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Inputs of which views are made.
const VIEWED: usize = 200;
/// Views of each.
const VIEWS: usize = 8;
/// Inputs that are changed more and more.
const CHANGED: usize = 100;
/// The strengths.
const STRENGTHS: [f64; 4] = [0.1, 0.3, 0.6, 1.0];
/// Examples embedded at once.
const AT_ONCE: usize = 512;

/// Rows drawn from the data, each as likely as any other, in the order of the data.
pub(super) struct Drawn {
    pub(super) rows: Vec<Row>,
    /// Rows of the data.
    pub(super) total: u64,
}

impl Drawn {
    /// Draws `most` rows by a reservoir (Vitter, 1985): in the memory of the sample, whatever
    /// the data's size.
    pub(super) fn from(
        mut rows: Rows,
        most: usize,
        seed: u64,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut random = SplitMix64::stream(seed, "sample", &[]);
        let mut kept: Vec<(u64, Row)> = Vec::new();
        let mut total = 0u64;
        let mut progress = Progress::start("Reading", rows.unit(), rows.len_hint());
        while let Some(row) = rows.next() {
            let row = row?;
            let place = random.below(usize::try_from(total + 1).unwrap_or(usize::MAX));
            if kept.len() < most {
                kept.push((total, row));
            } else if let Some(old) = kept.get_mut(place) {
                *old = (total, row);
            }
            total += 1;
            if total.is_multiple_of(1024) {
                progress.set(rows.position());
                interrupt.check("there is no report")?;
            }
        }
        drop(progress);
        if total < 2 {
            return Err(Failure::data(format!(
                "a report needs at least 2 inputs and there {}; give more data",
                if total == 1 { "is 1" } else { "are none" }
            )));
        }
        kept.sort_by_key(|(number, _)| *number);
        Ok(Self { rows: kept.into_iter().map(|(_, row)| row).collect(), total })
    }

    /// Classes and the class of each row; `None` where no row has a label.
    ///
    /// # Errors
    /// Where only some rows have one.
    pub(super) fn labels(&self) -> Result<Option<(Vec<String>, Vec<usize>)>> {
        if self.rows.iter().all(|row| row.label.is_none()) {
            return Ok(None);
        }
        let labels: Vec<&str> = self.rows.iter().map(inputs::label).collect::<Result<_>>()?;
        let (classes, of) = Classes::from_labels(&labels)?;
        Ok(Some((classes.names().to_vec(), of)))
    }

    /// The sample of one encoder.
    pub(super) fn of(
        &self,
        bundle: &Path,
        encoder: &Encoder,
        options: &EmbedOptions,
        seed: u64,
        interrupt: &Interrupt,
    ) -> Result<Sample> {
        let manifest = encoder.manifest();
        let embeddings = self.embed(bundle, encoder, options, interrupt)?;
        let examples = self.examples(manifest)?;
        let (views, changed) = changes(bundle, encoder, options, &examples, seed, interrupt)?;
        let (classes, labels) = self.labels()?.unzip();
        Ok(Sample {
            encoder: name(bundle),
            digest: encoder.digest().to_owned(),
            inputs: manifest.modality.plural().to_owned(),
            total: self.total,
            embeddings,
            titles: inputs::shown(&self.rows).into_iter().map(str::to_owned).collect(),
            classes: classes.unwrap_or_default(),
            labels,
            raw: Some(raw::features(&examples)?),
            views: Some(views),
            changed,
            seed,
            ..Sample::default()
        })
    }

    /// The rows as an encoder reads them.
    pub(super) fn examples(&self, manifest: &Manifest) -> Result<Vec<Example>> {
        self.rows.iter().map(|row| example(row, manifest)).collect()
    }

    /// What a person can look at of a row.
    pub(super) fn picture(&self, row: usize, manifest: &Manifest) -> Result<Option<String>> {
        let row = self.rows.get(row);
        Ok(row.map(|row| example(row, manifest)).transpose()?.and_then(|e| report::picture(&e)))
    }

    /// Embeddings of the rows, `[rows, width]`.
    pub(super) fn embed(
        &self,
        bundle: &Path,
        encoder: &Encoder,
        options: &EmbedOptions,
        interrupt: &Interrupt,
    ) -> Result<Array2<f32>> {
        let mut embedder = Embedder::new(encoder, options);
        let mut parts = Vec::new();
        let unit = crate::progress::Unit::Count(encoder.manifest().modality.plural());
        let what = format!("Embedding with {}", name(bundle));
        let mut progress = Progress::start(what, unit, Some(self.rows.len() as u64));
        for chunk in inputs::chunks(&self.rows) {
            parts.push(embedder.embed(chunk)?.into_vectors());
            progress.add(chunk.len() as u64);
            interrupt.check("there is no report")?;
        }
        drop(progress);
        embedder.note();
        joined(&parts)
    }
}

fn example(row: &Row, manifest: &Manifest) -> Result<Example> {
    Ok(match inputs::comparable(row, Some(manifest))? {
        Input::Text(text) => Example::Text(text),
        Input::Image(image) => Example::Image(image),
        Input::Signal(values) => Example::Signal(values),
    })
}

/// What an encoder is called: the bundle's file.
pub(super) fn name(bundle: &Path) -> String {
    bundle.file_stem().map_or_else(|| "encoder".into(), |stem| stem.to_string_lossy().into_owned())
}

/// Views of some inputs, and some inputs after each change at each strength.
fn changes(
    bundle: &Path,
    encoder: &Encoder,
    options: &EmbedOptions,
    examples: &[Example],
    seed: u64,
    interrupt: &Interrupt,
) -> Result<(Array3<f32>, Vec<Changed>)> {
    let kind = match examples.first() {
        Some(Example::Image(_)) => Kind::Image,
        Some(Example::Signal(_)) => Kind::Signal,
        _ => Kind::Text,
    };
    let names = change::names(kind);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    SplitMix64::stream(seed, "changed", &[]).shuffle(&mut order);
    let viewed = &order[..order.len().min(VIEWED)];
    let own = &order[..order.len().min(CHANGED)];
    let mut inputs = Vec::new();
    for &i in viewed {
        for view in 0..VIEWS {
            let mut random = SplitMix64::stream(seed, "view", &[i as u64, view as u64]);
            inputs.push(change::view(&examples[i], &mut random)?);
        }
    }
    for (number, name) in names.iter().enumerate() {
        for (step, strength) in STRENGTHS.iter().enumerate() {
            for &i in own {
                let within = [i as u64, number as u64, step as u64];
                let mut random = SplitMix64::stream(seed, "change", &within);
                inputs.push(change::change(&examples[i], name, *strength as f32, &mut random)?);
            }
        }
    }
    let mut parts = Vec::new();
    let unit = crate::progress::Unit::Count("views");
    let what = format!("Embedding views with {}", name(bundle));
    let mut progress = Progress::start(what, unit, Some(inputs.len() as u64));
    for chunk in inputs.chunks(AT_ONCE) {
        parts.push(embed_examples(encoder, options, chunk)?);
        progress.add(chunk.len() as u64);
        interrupt.check("there is no report")?;
    }
    drop(progress);
    let all = joined(&parts)?;
    let mut rows = all.outer_iter();
    let width = all.ncols();
    let mut views = Array3::zeros((viewed.len(), VIEWS, width));
    for mut input in views.outer_iter_mut() {
        for (mut view, row) in input.outer_iter_mut().zip(rows.by_ref()) {
            view.assign(&row);
        }
    }
    let changed = names.iter().map(|name| {
        let steps = STRENGTHS.iter().map(|&strength| {
            let mut step = Array2::zeros((own.len(), width));
            for (mut to, from) in step.outer_iter_mut().zip(rows.by_ref()) {
                to.assign(&from);
            }
            (strength, step)
        });
        Changed { name: (*name).to_owned(), own: own.to_vec(), steps: steps.collect() }
    });
    let changed = changed.collect();
    Ok((views, changed))
}

fn embed_examples(
    encoder: &Encoder,
    options: &EmbedOptions,
    examples: &[Example],
) -> Result<Array2<f32>> {
    let (mut texts, mut images, mut signals) = (Vec::new(), Vec::new(), Vec::new());
    for example in examples {
        match example {
            Example::Text(text) => texts.push(text.as_str()),
            Example::Image(image) => images.push(image.clone()),
            Example::Signal(values) => signals.push(values.view()),
        }
    }
    let embedded = if !images.is_empty() {
        encoder.embed_images_with(&images, options)?
    } else if !signals.is_empty() {
        let windows = ndarray::stack(Axis(0), &signals)
            .map_err(|error| Failure::new(Code::Bug, error.to_string()))?;
        encoder.embed_signals_with(windows.view(), options)?
    } else {
        encoder.embed_with(&texts, options)?
    };
    Ok(embedded.into_vectors())
}

fn joined(parts: &[Array2<f32>]) -> Result<Array2<f32>> {
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    ndarray::concatenate(Axis(0), &views)
        .map_err(|error| Failure::new(Code::Bug, error.to_string()))
}
