//! Losses that pull pairs together and push others apart.

use super::classification::diagonal;
use super::{mean, total};
use crate::error::Result;
use crate::graph::{Attribute, ElementType, Graph, Value};

/// Cosines of all rows of `a` with all rows of `b`, divided by `temperature` (float, of
/// no dimensions).
fn similarities(g: &mut Graph, a: Value, b: Value, temperature: Value) -> Result<Value> {
    let (a, b) = (g.unit_norm(a)?, g.unit_norm(b)?);
    let flipped = g.transpose(b, &[1, 0])?;
    let scores = g.matmul(a, flipped)?;
    g.div(scores, temperature)
}

/// InfoNCE (van den Oord, Li & Vinyals, 2018, arXiv:1807.03748): row `i` of `anchors`
/// `[rows, width]` has to find row `i` of `positives` among all of them, by the softmax
/// of cosines over `temperature`.
///
/// # Errors
/// [`Error::Operator`](crate::Error::Operator) when shapes or types do not fit; so for
/// every loss of this file.
pub fn info_nce(
    g: &mut Graph,
    anchors: Value,
    positives: Value,
    temperature: Value,
) -> Result<Value> {
    g.in_scope("info_nce", |g| {
        let scores = similarities(g, anchors, positives, temperature)?;
        diagonal(g, scores)
    })
}

/// Multiple negatives ranking (Henderson et al., 2017, arXiv:1705.00652): [`info_nce`] in
/// both directions, averaged. `scale` is the inverse of a temperature.
///
/// # Errors
/// As [`info_nce`].
pub fn multiple_negatives_ranking(
    g: &mut Graph,
    anchors: Value,
    positives: Value,
    scale: f64,
) -> Result<Value> {
    g.in_scope("multiple_negatives_ranking", |g| {
        let element = g.tensor_type(anchors)?.element;
        let temperature = g.scalar_of(element, 1.0 / scale)?;
        let scores = similarities(g, anchors, positives, temperature)?;
        let there = diagonal(g, scores)?;
        let flipped = g.transpose(scores, &[1, 0])?;
        let back = diagonal(g, flipped)?;
        let sum = g.add(there, back)?;
        g.scaled(sum, 0.5)
    })
}

/// NT-Xent, the loss of SimCLR (Chen et al., 2020, arXiv:2002.05709): of two views of a
/// batch, each row has to find its other view among all rows of both but itself.
///
/// # Errors
/// As [`info_nce`].
pub fn nt_xent(g: &mut Graph, first: Value, second: Value, temperature: Value) -> Result<Value> {
    g.in_scope("nt_xent", |g| {
        let own = similarities(g, first, first, temperature)?;
        let other = similarities(g, first, second, temperature)?;
        let twin = similarities(g, second, second, temperature)?;
        // A row is not compared with itself.
        let element = g.tensor_type(own)?.element;
        let eye = g.op("EyeLike", &[own], vec![])?;
        let lowest = g.scalar_of(element, lowest_score(element))?;
        let masked = g.mul(eye, lowest)?;
        let own = g.add(own, masked)?;
        let twin = g.add(twin, masked)?;
        let flipped = g.transpose(other, &[1, 0])?;
        let there = beside(g, other, own)?;
        let back = beside(g, flipped, twin)?;
        let sum = g.add(there, back)?;
        g.scaled(sum, 0.5)
    })
}

/// Mean cross-entropy of rows of `scores` with `others` beside them, whose right answer
/// is on the diagonal of `scores`.
fn beside(g: &mut Graph, scores: Value, others: Value) -> Result<Value> {
    let all = g.op("Concat", &[scores, others], vec![Attribute::int("axis", 1)])?;
    let last = g.integers(&[-1])?;
    let keep = vec![Attribute::int("keepdims", 0)];
    let norm = g.op("ReduceLogSumExp", &[all, last], keep.clone())?;
    let eye = g.op("EyeLike", &[scores], vec![])?;
    let product = g.mul(scores, eye)?;
    let right = g.op("ReduceSum", &[product, last], keep)?;
    let rows = g.sub(norm, right)?;
    mean(g, rows)
}

/// Supervised contrastive loss (Khosla et al., 2020, arXiv:2004.11362, its form with the
/// sum outside the logarithm): each row of `x` `[rows, width]` has to find the rows of its
/// own label, int64 `[rows]`, among all others. Rows without another of their label are
/// left out; 0 when all are.
///
/// # Errors
/// As [`info_nce`].
pub fn supervised_contrastive(
    g: &mut Graph,
    x: Value,
    labels: Value,
    temperature: Value,
) -> Result<Value> {
    g.in_scope("supervised_contrastive", |g| {
        let scores = similarities(g, x, x, temperature)?;
        let element = g.tensor_type(scores)?.element;
        let eye = g.op("EyeLike", &[scores], vec![])?;
        let lowest = g.scalar_of(element, lowest_score(element))?;
        let masked = g.mul(eye, lowest)?;
        let others = g.add(scores, masked)?;
        let log = g.op("LogSoftmax", &[others], vec![Attribute::int("axis", -1)])?;
        let (column, row) = (g.unsqueeze(labels, &[1])?, g.unsqueeze(labels, &[0])?);
        let same = g.equal(column, row)?;
        let same = g.cast(same, element)?;
        let same = g.sub(same, eye)?;
        let product = g.mul(same, log)?;
        let found = g.reduce_sum(product, -1)?;
        let count = g.reduce_sum(same, -1)?;
        let one = g.scalar_of(element, 1.0)?;
        let zero = g.scalar_of(element, 0.0)?;
        let safe = g.max(count, one)?;
        let rows = g.div(found, safe)?;
        let paired = g.op("Greater", &[count, zero], vec![])?;
        let paired = g.cast(paired, element)?;
        let paired = total(g, paired)?;
        let paired = g.max(paired, one)?;
        let sum = total(g, rows)?;
        let loss = g.div(sum, paired)?;
        g.neg(loss)
    })
}

/// A score that no cosine over a temperature comes near.
fn lowest_score(element: ElementType) -> f64 {
    if element == ElementType::Float16 { -6e4 } else { -1e9 }
}

/// Triplet loss (Schroff, Kalenichenko & Philbin, 2015, arXiv:1503.03832):
/// `max(‖a - p‖ - ‖a - n‖ + margin, 0)`, as the mean over rows `[rows, width]`.
///
/// # Errors
/// As [`info_nce`].
pub fn triplet(
    g: &mut Graph,
    anchors: Value,
    positives: Value,
    negatives: Value,
    margin: f64,
) -> Result<Value> {
    g.in_scope("triplet", |g| {
        let near = distance(g, anchors, positives)?;
        let far = distance(g, anchors, negatives)?;
        let gap = g.sub(near, far)?;
        let element = g.tensor_type(gap)?.element;
        let margin = g.scalar_of(element, margin)?;
        let gap = g.add(gap, margin)?;
        let loss = g.relu(gap)?;
        mean(g, loss)
    })
}

/// Euclidean distances of rows.
fn distance(g: &mut Graph, a: Value, b: Value) -> Result<Value> {
    let difference = g.sub(a, b)?;
    g.reduce_l2(difference, -1)
}
