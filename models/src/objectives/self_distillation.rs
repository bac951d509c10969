//! A student finds the groups that its own average puts the other view in.

use offshoot_export::graph::{Attribute, Graph, Value};
use offshoot_export::training::{AVERAGE, losses};

use super::{Batch, Draw, Feed, Objective, Preparation, halves};
use crate::encoders::{Architecture, Init, Network};
use crate::error::Result;

/// Self-distillation in the manner of DINO (Caron et al., 2021, arXiv:2104.14294), with the
/// teacher's groups balanced by Sinkhorn and Knopp's algorithm (Caron et al., 2020,
/// arXiv:2006.09882) in the place of a running centre. The teacher's weights are the average of
/// the student's. With `s` and `t` their scores of the groups for two views:
///
/// ```text
/// L = -½ mean Σ balanced(t₂ / τₜ) log softmax(s₁ / τₛ) - ½ the same with 1 and 2 exchanged
/// ```
#[derive(Debug, Clone)]
pub struct SelfDistillation {
    /// Number of groups.
    pub prototypes: usize,
    /// Widths of the projector after that of the encoder; the last is compared with the groups.
    pub projector: Vec<usize>,
    /// τₛ.
    pub student_temperature: f32,
    /// τₜ.
    pub teacher_temperature: f32,
    /// Decay of the teacher's average.
    pub decay: f32,
    /// Rounds of the balancing.
    pub rounds: usize,
}

impl Default for SelfDistillation {
    fn default() -> Self {
        Self {
            prototypes: 512,
            projector: vec![512, 128],
            student_temperature: 0.1,
            teacher_temperature: 0.05,
            decay: 0.99,
            rounds: 3,
        }
    }
}

impl SelfDistillation {
    /// Cosines of the projected views with the groups, `[rows, prototypes]`.
    fn scores(
        &self,
        net: &mut Network<'_>,
        encoder: &Architecture,
        input: crate::encoders::Input,
    ) -> Result<Value> {
        let features = encoder.encode(net, input)?;
        let widths = [&[features.width][..], &self.projector].concat();
        let projected = net.projector("self-distillation.projector", features.pooled, &widths)?;
        let width = self.projector.last().copied().unwrap_or(features.width);
        let groups = net.weight(
            "self-distillation.prototypes.weight",
            &[self.prototypes, width],
            Init::Normal(1.0),
        )?;
        let (projected, groups) = (net.graph.unit_norm(projected)?, net.graph.unit_norm(groups)?);
        let groups = net.graph.transpose(groups, &[1, 0])?;
        Ok(net.graph.matmul(projected, groups)?)
    }
}

impl Objective for SelfDistillation {
    fn name(&self) -> &'static str {
        "self-distillation"
    }

    fn check(&self, _: &Architecture) -> Result<()> {
        Ok(())
    }

    fn teacher_decay(&self) -> Option<f32> {
        Some(self.decay)
    }

    fn loss(&self, net: &mut Network<'_>, encoder: &Architecture) -> Result<Value> {
        let input = encoder.input(net, "self-distillation.", super::pairs())?;
        let student = self.scores(net, encoder, input)?;
        let teacher = net.with_suffix(AVERAGE, |net| self.scores(net, encoder, input))?;
        let student = net.graph.scaled(student, 1.0 / f64::from(self.student_temperature))?;
        let axis = vec![Attribute::int("axis", -1)];
        let log = net.graph.op("LogSoftmax", &[student], axis)?;
        let (first, second) = halves(net, log)?;
        let (first_teacher, second_teacher) = halves(net, teacher)?;
        let mut sums = Vec::with_capacity(2);
        for (log, teacher) in [(first, second_teacher), (second, first_teacher)] {
            let g = &mut *net.graph;
            let scores = g.scaled(teacher, 1.0 / f64::from(self.teacher_temperature))?;
            let targets = balanced(g, scores, self.rounds)?;
            let targets = g.stop_gradient(targets)?;
            let product = g.mul(targets, log)?;
            let sum = g.reduce_sum(product, -1)?;
            sums.push(losses::mean(g, sum)?);
        }
        let sum = net.graph.add(sums[0], sums[1])?;
        Ok(net.graph.scaled(sum, -0.5)?)
    }

    fn feed(&self, batch: &Batch, preparation: &Preparation, draw: &Draw) -> Result<Feed> {
        preparation.views(self.name(), batch, draw, 2)
    }
}

/// Rows of probabilities `[rows, groups]` from scores, such that every group has the same share
/// of all rows: groups and rows are normalised in turn.
fn balanced(g: &mut Graph, scores: Value, rounds: usize) -> Result<Value> {
    // The largest score is taken away, so that the exponentials do not overflow.
    let largest = g.op("ReduceMax", &[scores], vec![Attribute::int("keepdims", 0)])?;
    let scores = g.sub(scores, largest)?;
    let mut shares = g.op("Exp", &[scores], vec![])?;
    let least = g.scalar(1e-30)?;
    for _ in 0..rounds {
        for axis in [0, 1] {
            let sum = g.reduce_sum(shares, axis)?;
            let sum = g.max(sum, least)?;
            shares = g.div(shares, sum)?;
        }
    }
    Ok(shares)
}
