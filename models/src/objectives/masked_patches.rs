//! Hidden patches are made from those that are seen.

use offshoot_export::graph::{Attribute, ElementType, Value};
use offshoot_export::shape;
use offshoot_export::training::losses;

use super::masked_token::chosen_rows;
use super::{Batch, Draw, Feed, Objective, Preparation, unsuitable};
use crate::augment::patches::PatchMask;
use crate::encoders::{
    Architecture, Context, Init, Input, Layers, Network, Visible, rows_of, rows_times, transformer,
};
use crate::error::{Error, Result};

/// Masked autoencoder (He et al., 2022, arXiv:2111.06377), for images and signals: the encoder
/// sees a quarter of the patches, and a shallow decoder makes the others, each normalised by its
/// own mean and deviation; mean squared error of the hidden ones.
///
/// What it learns shows after fine-tuning; frozen embeddings of it are weak (nearest-neighbour
/// accuracy 11 on ImageNet where contrastive methods have 45 to 67).
#[derive(Debug, Clone)]
pub struct MaskedPatches {
    /// Share of patches that are hidden.
    pub share: f32,
    /// Width of the decoder.
    pub decoder_width: usize,
    /// Layers of the decoder.
    pub decoder_layers: usize,
}

impl Default for MaskedPatches {
    fn default() -> Self {
        Self { share: 0.75, decoder_width: 64, decoder_layers: 2 }
    }
}

impl MaskedPatches {
    /// Patches that are seen, of so many.
    pub(super) fn kept(&self, patches: usize) -> usize {
        let hidden = (patches as f64 * f64::from(self.share)).round() as usize;
        patches - hidden.clamp(1, patches.saturating_sub(1).max(1)).min(patches)
    }
}

impl Objective for MaskedPatches {
    fn name(&self) -> &'static str {
        "masked-patches"
    }

    fn check(&self, encoder: &Architecture) -> Result<()> {
        match encoder.patched() {
            Some(patched) if patched.patches()[0] > 1 => Ok(()),
            _ => Err(unsuitable(
                self.name(),
                encoder,
                "it needs a vision-transformer or signal-transformer of several patches",
            )),
        }
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let Some(patched) = encoder.patched() else {
            return Err(Error::Pretrain("masked-patches needs an encoder of patches".into()));
        };
        let [count, numbers] = patched.patches();
        let kept = self.kept(count);
        let input = encoder.input(net, "masked-patches.", "batch")?;
        let (Input::Pixels(input) | Input::Signals(input)) = input else {
            return Err(Error::Pretrain("masked-patches needs images or signals".into()));
        };
        let batch = rows_of(net.graph, input)?;
        let int = ElementType::Int64;
        let seen = shape![rows_times(&batch, kept)];
        let seen = net.graph.input("masked-patches.seen", int, seen)?;
        let order = shape![rows_times(&batch, count)];
        let order = net.graph.input("masked-patches.order", int, order)?;
        let hidden = shape![rows_times(&batch, count - kept)];
        let hidden = net.graph.input("masked-patches.hidden", int, hidden)?;

        let cut = patched.cut(net, input)?;
        let visible = Visible { positions: seen, kept };
        let features = patched.encode_patches(net, cut, Some(visible))?;

        // Behind the patches that were seen stands a learned vector for each hidden one;
        // `order` puts all in their places.
        let width = self.decoder_width;
        let name = "masked-patches.decoder";
        let tokens =
            net.linear(&format!("{name}.in"), features.tokens, [features.width, width], true)?;
        let blank = net.weight(&format!("{name}.blank"), &[1, 1, width], Init::Normal(0.02))?;
        let g = &mut *net.graph;
        let first = vec![Attribute::int("start", 0), Attribute::int("end", 1)];
        let rows = g.op("Shape", &[tokens], first)?;
        let sizes = g.integers(&[(count - kept) as i64, width as i64])?;
        let sizes = g.op("Concat", &[rows, sizes], vec![Attribute::int("axis", 0)])?;
        let blanks = g.op("Expand", &[blank, sizes], vec![])?;
        let all = g.concat(&[tokens, blanks], 1)?;
        let flat = g.reshape(all, shape![rows_times(&batch, count), width])?;
        let placed = g.gather(flat, order, 0)?;
        let placed = g.reshape(placed, shape![batch, count, width])?;
        let places =
            net.weight(&format!("{name}.positions"), &[count, width], Init::Normal(0.02))?;
        let placed = net.graph.add(placed, places)?;
        let layers = Layers {
            count: self.decoder_layers,
            width,
            heads: (width / 16).max(1),
            hidden: 2 * width,
        };
        let made = transformer(net, name, placed, &layers, &Context::open())?;
        let made = chosen_rows(net.graph, made, hidden)?;
        let made = net.linear(&format!("{name}.out"), made, [width, numbers], true)?;

        let g = &mut *net.graph;
        let wanted = chosen_rows(g, cut, hidden)?;
        let mean = g.reduce_mean(wanted, -1)?;
        let centred = g.sub(wanted, mean)?;
        let square = g.mul(centred, centred)?;
        let variance = g.reduce_mean(square, -1)?;
        let epsilon = g.scalar(1e-2)?;
        let variance = g.add(variance, epsilon)?;
        let deviation = g.sqrt(variance)?;
        let wanted = g.div(centred, deviation)?;
        Ok(losses::mean_squared_error(g, made, wanted)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        let count = preparation.encoder().patched().map_or(1, |patched| patched.patches()[0]);
        let (mut seen, mut order, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..batch.len() {
            let mut random = draw.stream("patches", &[row as u64]);
            let mask = PatchMask::draw(count, self.share, &mut random)?;
            let place = |at: &usize| (row * count + at) as i64;
            seen.extend(mask.kept.iter().map(place));
            hidden.extend(mask.masked.iter().map(place));
            order.extend(mask.restore.iter().map(place));
        }
        let mut feed = preparation.cropped("masked-patches.", batch, draw)?;
        for (name, values) in [("seen", seen), ("order", order), ("hidden", hidden)] {
            feed.push(super::feed::integers(&format!("masked-patches.{name}"), values));
        }
        Ok(feed)
    }
}
