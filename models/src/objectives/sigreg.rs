//! Embeddings that are spread as a normal distribution is.

use ndarray::Array2;
use offshoot::trainer::Tensor;
use offshoot_export::graph::{ElementType, Graph, Tensor as Constant, Value};
use offshoot_export::shape;
use offshoot_export::training::losses;

use super::{Batch, Draw, Feed, Objective, Preparation, projected_views};
use crate::encoders::{Architecture, Network};
use crate::error::Result;

/// Sketched isotropic Gaussian regularisation (Balestriero & LeCun, 2025, arXiv:2511.08544,
/// "LeJEPA"): projections of the views agree with their mean, and along random directions `a`
/// their empirical characteristic function is that of a standard normal distribution (Epps &
/// Pulley, 1983):
///
/// ```text
/// L = (1-λ) mean (z - z̄)² + λ mean_a n ∫₀³ 2 w(t) |φ_a(t) - e^(-t²/2)|² dt,   w(t) = e^(-t²/2)
/// ```
///
/// The first mean is over rows and numbers, `n` the number of rows of a view. The integral is
/// taken by the trapezoidal rule.
#[derive(Debug, Clone)]
pub struct SigReg {
    /// λ.
    pub weight: f32,
    /// Number of directions, drawn anew at each step.
    pub directions: usize,
    /// Points of the trapezoidal rule.
    pub knots: usize,
    /// Widths of the projector after that of the encoder.
    pub projector: Vec<usize>,
}

impl Default for SigReg {
    fn default() -> Self {
        Self { weight: 0.05, directions: 256, knots: 17, projector: vec![512, 512, 64] }
    }
}

impl SigReg {
    fn width(&self) -> usize {
        self.projector.last().copied().unwrap_or(1)
    }

    /// The statistic of `z` `[rows, width]` along `directions` `[width, directions]`, the mean
    /// over directions.
    fn statistic(&self, g: &mut Graph, z: Value, directions: Value) -> Result<Value> {
        let knots = self.knots.max(2);
        let step = 3.0 / (knots - 1) as f32;
        let t: Vec<f32> = (0..knots).map(|i| step * i as f32).collect();
        let normal: Vec<f32> = t.iter().map(|t| (-t * t / 2.0).exp()).collect();
        let weights: Vec<f32> = (0..knots)
            .map(|i| normal[i] * if i == 0 || i + 1 == knots { step } else { 2.0 * step })
            .collect();
        let along = g.matmul(z, directions)?;
        let along = g.unsqueeze(along, &[2])?;
        let t = g.constant(Constant::from_f32(&[knots], &t))?;
        let angles = g.mul(along, t)?;
        let (cos, sin) = (g.cos(angles)?, g.sin(angles)?);
        let (cos, sin) = (g.reduce_mean(cos, 0)?, g.reduce_mean(sin, 0)?);
        let normal = g.constant(Constant::from_f32(&[knots], &normal))?;
        let real = g.sub(cos, normal)?;
        let (real, imaginary) = (g.mul(real, real)?, g.mul(sin, sin)?);
        let error = g.add(real, imaginary)?;
        let weights = g.constant(Constant::from_f32(&[knots], &weights))?;
        let error = g.mul(error, weights)?;
        let integral = g.reduce_sum(error, -1)?;
        let rows = g.size_of(z, 0)?;
        let rows = g.squeeze(rows, 0)?;
        let rows = g.cast(rows, ElementType::Float32)?;
        let statistic = g.mul(integral, rows)?;
        Ok(losses::mean(g, statistic)?)
    }
}

impl Objective for SigReg {
    fn name(&self) -> &'static str {
        "sigreg"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let (first, second) = projected_views(net, encoder, self.name(), &self.projector)?;
        let shape = shape![self.width(), self.directions];
        let directions = net.graph.input("sigreg.directions", ElementType::Float32, shape)?;
        let g = &mut *net.graph;
        // The distance of both from their mean is half their difference.
        let difference = g.sub(first, second)?;
        let square = g.mul(difference, difference)?;
        let agreement = losses::mean(g, square)?;
        let agreement = g.scaled(agreement, 0.25 * f64::from(1.0 - self.weight))?;
        let mut spread = Vec::with_capacity(2);
        for view in [first, second] {
            let statistic = self.statistic(g, view, directions)?;
            spread.push(g.scaled(statistic, 0.5 * f64::from(self.weight))?);
        }
        let loss = g.add(agreement, spread[0])?;
        Ok(g.add(loss, spread[1])?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        let mut feed = preparation.views(self.name(), batch, draw, 2)?;
        let mut random = draw.stream("directions", &[]);
        let mut directions =
            Array2::from_shape_simple_fn((self.width(), self.directions), || random.normal());
        for mut column in directions.columns_mut() {
            let norm = column.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            column.mapv_inplace(|v| v / norm);
        }
        feed.push(("sigreg.directions".into(), Tensor::from(directions)));
        Ok(feed)
    }
}
