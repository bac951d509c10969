//! What the objectives are fed, to be looked at before a run.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis, Ix3, Ix4, Slice};
use offshoot::trainer::Tensor;
use offshoot::{Image, Tokenizer};

use super::loader::Maker;
use super::options::PretrainOptions;
use super::{fits, setup};
use crate::augment::preview::{contact_sheet, plot, range, text_table};
use crate::data::Dataset;
use crate::encoders::Architecture;
use crate::error::{Error, Result};
use crate::objectives::{Batch, Draw, Feed, Rows, Tokens};

/// Height and width of the picture of a signal.
const PLOT: [usize; 2] = [96, 192];
/// What is painted over a hidden patch.
const HIDDEN: u8 = 128;
/// Stands for a token that a view lacks.
const LACKS: &str = "_";

/// Examples beside what the objectives make of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Preview {
    /// Of images and signals: a row for each example, the example first.
    Sheet(Image),
    /// Of texts: the tokens of each example, and below it those of its views, in brackets where
    /// they differ.
    Table(String),
}

/// The first `rows` examples of the run's first batch, each with `views` views. The first views
/// are those of step 0; where an objective has fewer a step, those that it would draw of the same
/// examples at steps 1, 2, … follow. Nothing is trained or written.
///
/// # Errors
/// As [`pretrain`](super::pretrain).
pub fn preview(
    data: &Arc<dyn Dataset>,
    options: &PretrainOptions,
    rows: usize,
    views: usize,
) -> Result<Preview> {
    fits::run(data.as_ref(), options)?;
    let setup = setup::settle(data.as_ref(), options)?;
    fits::objectives(&setup, options, data.as_ref())?;
    let (maker, _) = Maker::new(data, options, &setup)?;
    let mut indices = maker.indices(0);
    indices.truncate(rows.max(1));
    let (batch, _) = maker.source.batch(&indices)?;
    match (&batch.rows, &setup.tokenizer) {
        (Rows::Texts(texts), Some(tokenizer)) => {
            let found = collect(&maker, &batch, views, &mut token_rows)?;
            let words = Words { tokenizer: &tokenizer.tokenizer, tokens: &tokenizer.tokens };
            let table: Vec<_> = texts
                .iter()
                .zip(found)
                .map(|(text, views)| {
                    let views = views.iter().map(|view| words.beside(text, view)).collect();
                    (words.of(text), views)
                })
                .collect();
            Ok(Preview::Table(text_table(&table)))
        }
        (Rows::Images(images), _) => {
            let found = collect(&maker, &batch, views, &mut image_rows)?;
            let sheet: Vec<_> = images.iter().cloned().zip(found).collect();
            Ok(Preview::Sheet(contact_sheet(&sheet)?))
        }
        (Rows::Signals(signals), _) => {
            let found = collect(&maker, &batch, views, &mut signal_rows)?;
            let mut sheet = Vec::with_capacity(signals.len());
            for (signal, views) in signals.iter().zip(found) {
                let all = std::iter::once(signal).chain(&views).map(|signal| signal.view());
                let range = range(all);
                let picture = |signal: ArrayView2<'_, f32>| plot(signal, range, PLOT[0], PLOT[1]);
                let views = views.iter().map(|view| picture(view.view()));
                sheet.push((picture(signal.view())?, views.collect::<Result<_>>()?));
            }
            Ok(Preview::Sheet(contact_sheet(&sheet)?))
        }
        (Rows::Texts(_), None) => Err(Error::Pretrain("texts need a tokenizer".into())),
    }
}

/// What `read` finds in a feed for an objective: views of all examples, first views first.
type Read<'a, T> = &'a mut dyn FnMut(&Feed, &str, &Architecture) -> Result<Vec<T>>;

/// So many views of each example.
fn collect<T>(
    maker: &Maker,
    batch: &Batch,
    views: usize,
    read: Read<'_, T>,
) -> Result<Vec<Vec<T>>> {
    let mut found: Vec<Vec<T>> = (0..batch.len()).map(|_| Vec::new()).collect();
    let encoder = maker.preparation.encoder();
    for step in 0..views as u64 {
        for weighted in &maker.objectives {
            let name = weighted.objective.name();
            let draw = Draw { seed: maker.seed, step, purpose: name };
            let feed = weighted.objective.feed(batch, &maker.preparation, &draw)?;
            for (at, view) in read(&feed, name, encoder)?.into_iter().enumerate() {
                let row = at % batch.len().max(1);
                if let Some(kept) = found.get_mut(row).filter(|kept| kept.len() < views) {
                    kept.push(view);
                }
            }
        }
        if found.iter().all(|kept| kept.len() >= views) {
            break;
        }
    }
    Ok(found)
}

/// An input of an objective, where it has one of that name.
fn input<'a>(feed: &'a Feed, objective: &str, name: &str) -> Option<&'a Tensor<'static>> {
    let wanted = format!("{objective}.{name}");
    feed.iter().find(|(known, _)| *known == wanted).map(|(_, value)| value)
}

fn shape(error: ndarray::ShapeError) -> Error {
    Error::Pretrain(format!("a batch has an impossible shape: {error}"))
}

/// The patches that are hidden: number of the row, number of the patch.
fn hidden(feed: &Feed, name: &str, patches: usize) -> Result<Vec<(usize, usize)>> {
    let Some(places) = input(feed, name, "hidden") else { return Ok(Vec::new()) };
    let places = places.array::<i64>()?;
    let of = |&place: &i64| {
        let place = usize::try_from(place).unwrap_or(0);
        (place / patches.max(1), place % patches.max(1))
    };
    Ok(places.iter().map(of).collect())
}

/// Images as they are fed, hidden patches painted over.
fn image_rows(feed: &Feed, name: &str, encoder: &Architecture) -> Result<Vec<Image>> {
    let Some(pixels) = input(feed, name, "pixels") else { return Ok(Vec::new()) };
    let pixels = pixels.array::<u8>()?.into_dimensionality::<Ix4>().map_err(shape)?;
    let mut pixels = pixels.to_owned();
    if let Architecture::VisionTransformer(transformer) = encoder {
        let patch = transformer.patch.max(1);
        let across = transformer.size[1] / patch;
        for (row, at) in hidden(feed, name, transformer.size[0] / patch * across)? {
            let (top, left) = (at / across.max(1) * patch, at % across.max(1) * patch);
            if row < pixels.len_of(Axis(0)) {
                let mut image = pixels.index_axis_mut(Axis(0), row);
                let mut lines = image.slice_axis_mut(Axis(0), Slice::from(top..top + patch));
                lines.slice_axis_mut(Axis(1), Slice::from(left..left + patch)).fill(HIDDEN);
            }
        }
    }
    pixels
        .outer_iter()
        .map(|image| {
            let (height, width, channels) = image.dim();
            Ok(Image::new(height, width, channels, image.iter().copied().collect())?)
        })
        .collect()
}

/// Signals as they are fed, hidden pieces left out.
fn signal_rows(feed: &Feed, name: &str, encoder: &Architecture) -> Result<Vec<Array2<f32>>> {
    let Some(signals) = input(feed, name, "signals") else { return Ok(Vec::new()) };
    let signals = signals.array::<f32>()?.into_dimensionality::<Ix3>().map_err(shape)?;
    let mut signals = signals.to_owned();
    if let Architecture::SignalTransformer(transformer) = encoder {
        let patch = transformer.patch.max(1);
        for (row, at) in hidden(feed, name, transformer.size[1] / patch)? {
            if row < signals.len_of(Axis(0)) {
                let mut signal = signals.index_axis_mut(Axis(0), row);
                let piece = Slice::from(at * patch..(at + 1) * patch);
                signal.slice_axis_mut(Axis(1), piece).fill(f32::NAN);
            }
        }
    }
    Ok(signals.outer_iter().map(|signal| signal.to_owned()).collect())
}

/// Token ids as they are fed, padding left out.
fn token_rows(feed: &Feed, name: &str, _: &Architecture) -> Result<Vec<Vec<u32>>> {
    let (Some(ids), Some(mask)) =
        (input(feed, name, "input_ids"), input(feed, name, "attention_mask"))
    else {
        return Ok(Vec::new());
    };
    let (ids, mask) = (ids.array::<i64>()?, mask.array::<i64>()?);
    let rows = ids.outer_iter().zip(mask.outer_iter());
    let real = rows.map(|(ids, mask)| {
        let pairs = ids.iter().zip(mask.iter()).filter(|(_, mask)| **mask == 1);
        pairs.map(|(&id, _)| u32::try_from(id).unwrap_or(0)).collect()
    });
    Ok(real.collect())
}

/// Tokens as people read them.
struct Words<'a> {
    tokenizer: &'a Tokenizer,
    tokens: &'a Tokens,
}

impl Words<'_> {
    fn word(&self, id: u32) -> String {
        let word = self.tokenizer.token(id).unwrap_or_else(|| id.to_string());
        if id == self.tokens.mask {
            // What differs is put in brackets.
            return word.trim_matches(['[', ']', '<', '>']).to_owned();
        }
        word
    }

    fn of(&self, ids: &[u32]) -> Vec<String> {
        ids.iter().map(|&id| self.word(id)).collect()
    }

    /// A view, each token in the place that it has in the text.
    fn beside(&self, text: &[u32], view: &[u32]) -> Vec<String> {
        if text.len() == view.len() {
            return self.of(view);
        }
        let mut left = view.iter().copied().peekable();
        let placed: Vec<String> = text
            .iter()
            .map(|&id| match left.next_if_eq(&id) {
                Some(id) => self.word(id),
                None => LACKS.to_owned(),
            })
            .collect();
        if left.peek().is_some() { self.of(view) } else { placed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataOptions, open_all};
    use crate::objectives::named;

    /// A file of 40 images of 8 by 8 pixels, as IDX.
    fn images(folder: &std::path::Path) -> Arc<dyn Dataset> {
        let mut bytes = vec![0, 0, 8, 3];
        for size in [40u32, 8, 8] {
            bytes.extend(size.to_be_bytes());
        }
        bytes.extend((0..40 * 64).map(|at| (at * at / 7 + at * 3) as u8));
        let path = folder.join("images.idx3-ubyte");
        std::fs::write(&path, bytes).unwrap();
        open_all(&[path], &DataOptions::default()).unwrap().into()
    }

    #[test]
    fn the_first_views_are_those_of_the_first_step() {
        let folder = tempfile::tempdir().unwrap();
        let data = images(folder.path());
        for name in ["vicreg", "rotation", "simclr"] {
            let objective = named(name).unwrap();
            let mut options = PretrainOptions::new(objective, folder.path().join("e.offshoot"));
            options.batch = 16;
            let setup = setup::settle(data.as_ref(), &options).unwrap();
            let (maker, _) = Maker::new(&data, &options, &setup).unwrap();
            let fed = image_rows(&maker.make(0).unwrap(), name, &setup.encoder).unwrap();
            let views = fed.len() / 16;
            let mut indices = maker.indices(0);
            indices.truncate(5);
            let (batch, _) = maker.source.batch(&indices).unwrap();
            let shown = collect(&maker, &batch, 3, &mut image_rows).unwrap();
            assert_eq!(shown.iter().map(Vec::len).collect::<Vec<_>>(), [3; 5]);
            for (row, shown) in shown.iter().enumerate() {
                for view in 0..views {
                    assert_eq!(shown[view], fed[16 * view + row], "{name} {row} {view}");
                }
            }
            let Preview::Sheet(sheet) = preview(&data, &options, 5, 3).unwrap() else {
                panic!("images are shown as a picture")
            };
            assert_eq!((sheet.height(), sheet.width()), (4 + 5 * 100, 8 + 4 * 100));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "it wrote files");
        }
    }
}
