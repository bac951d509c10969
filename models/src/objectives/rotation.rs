//! By how much an image was turned.

use offshoot::Image;
use offshoot_export::graph::{ElementType, Value};
use offshoot_export::shape;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, only, unsuitable};
use crate::data::Kind;
use crate::encoders::{Architecture, Network};
use crate::error::{Error, Result};

/// Rotation prediction (Gidaris, Singh & Komodakis, 2018, arXiv:1803.07728): each image is
/// turned by 0, 90, 180 or 270 degrees, and a linear layer on the embedding tells which;
/// cross-entropy.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Rotation {}

impl Objective for Rotation {
    fn name(&self) -> &'static str {
        "rotation"
    }

    fn check(&self, encoder: &Architecture) -> Result<()> {
        only(self.name(), encoder, &[Kind::Image])?;
        if encoder.image_size().is_some_and(|[height, width, _]| height != width) {
            return Err(unsuitable(self.name(), encoder, "its images are not square"));
        }
        Ok(())
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let input = encoder.input(net, "rotation.", "batch")?;
        let labels = net.graph.input("rotation.labels", ElementType::Int64, shape!["batch"])?;
        let features = encoder.encode(net, input)?;
        let logits = net.linear("rotation.head", features.pooled, [features.width, 4], true)?;
        Ok(losses::cross_entropy(net.graph, logits, labels, &Default::default())?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        let mut labels = Vec::with_capacity(batch.len());
        let mut feed = preparation.images("rotation.", batch, draw, &mut |row, image| {
            let turns = draw.stream("turns", &[row as u64]).below(4);
            labels.push(turns as i64);
            turned(image, turns)
        })?;
        feed.push(super::feed::integers("rotation.labels", labels));
        Ok(feed)
    }
}

/// A square image turned against the clock by so many right angles.
fn turned(image: &Image, turns: usize) -> Result<Image> {
    let (side, channels) = (image.height(), image.channels());
    if image.width() != side {
        return Err(Error::Pretrain("an image to turn is not square".into()));
    }
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for y in 0..side {
        for x in 0..side {
            let (from_y, from_x) = match turns {
                1 => (x, side - 1 - y),
                2 => (side - 1 - y, side - 1 - x),
                3 => (side - 1 - x, y),
                _ => (y, x),
            };
            let at = (from_y * side + from_x) * channels;
            pixels.extend_from_slice(&image.pixels()[at..at + channels]);
        }
    }
    Ok(Image::new(side, side, channels, pixels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_moves_the_right_column_to_the_top() {
        let image = Image::new(2, 2, 1, vec![1, 2, 3, 4]).unwrap();
        assert_eq!(turned(&image, 1).unwrap().pixels(), [2, 4, 1, 3]);
        assert_eq!(turned(&image, 2).unwrap().pixels(), [4, 3, 2, 1]);
        assert_eq!(turned(&turned(&image, 1).unwrap(), 3).unwrap(), image);
    }
}
