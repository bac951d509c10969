//! Which layers stay as they are, when not all can be quantised.

use std::collections::BTreeMap;

use ndarray::Array2;
use offshoot::bundle::Change;
use offshoot::{Encoder, OpenOptions, WeightCache};

use super::layers::Layer;
use super::rewrite::{self, Form};
use crate::derive::Derivation;
use crate::error::Result;
use crate::graph::Graph;
use crate::parity::{Input, OnProgress, Sample, each, embed};

/// Tries of forms on samples.
pub(super) struct Trials<'a> {
    work: &'a Derivation,
    graph: &'a Graph,
    layers: &'a [Layer],
    open: OpenOptions,
    source: Encoder,
    samples: Vec<Sample>,
    /// The source's embeddings of the samples.
    before: Array2<f32>,
    /// Layers by what they lose, the most first; measured when it is needed.
    order: Option<Vec<usize>>,
}

/// Most samples that layers are tried on one by one.
const MOST: usize = 96;

impl<'a> Trials<'a> {
    /// Trials of `layers` on samples among `calibration`.
    pub(super) fn new(
        work: &'a Derivation,
        graph: &'a Graph,
        layers: &'a [Layer],
        open: &OpenOptions,
        calibration: &[Input],
    ) -> Result<Self> {
        let source = open.open(work.source.path())?;
        let step = calibration.len().div_ceil(MOST).max(1);
        let inputs = calibration.iter().step_by(step).zip(1..);
        let samples: Vec<Sample> =
            inputs.map(|(input, row)| Sample { row, input: input.clone(), label: None }).collect();
        let before = embed(&source, &samples, "", None, &mut |_, _, _| {})?;
        let open = open.clone().cache(WeightCache::Off);
        Ok(Self { work, graph, layers, open, source, samples, before, order: None })
    }

    /// Adds samples that have turned out to be sensitive.
    pub(super) fn add(&mut self, samples: impl Iterator<Item = Sample>) -> Result<()> {
        self.samples.extend(samples);
        self.before = embed(&self.source, &self.samples, "", None, &mut |_, _, _| {})?;
        Ok(())
    }

    /// The smallest cosine with these forms.
    fn least_cosine(&self, forms: &[Form]) -> Result<f64> {
        self.work.check_stop()?;
        let mut graph = self.graph.clone();
        rewrite::apply(&mut graph, self.layers, forms)?;
        let change = Change {
            what: "trial".into(),
            source_digest: self.work.source.digest().to_owned(),
            details: BTreeMap::new(),
        };
        let (path, _) = self.work.write("trial.offshoot", &graph, &change)?;
        let encoder = self.open.open(&path)?;
        let after = embed(&encoder, &self.samples, "", None, &mut |_, _, _| {})?;
        let cosines = each(self.before.view(), after.view());
        Ok(cosines.into_iter().fold(f64::INFINITY, f64::min))
    }

    /// The forms with as few layers as possible as `instead` has them, so that the smallest cosine
    /// reaches `goal`, and the names of these layers, the most sensitive first. `None`
    /// when not even all of them reach it.
    ///
    /// Each layer is tried by itself; then layers are taken back in the order of what
    /// they lose, and their number is found by halving.
    pub(super) fn choose(
        &mut self,
        wanted: &[Form],
        instead: &[Form],
        goal: f64,
        progress: OnProgress<'_>,
    ) -> Result<Option<(Vec<Form>, Vec<String>)>> {
        const WHAT: &str = "Trying layers";
        let steps = (wanted.len() + wanted.len().ilog2() as usize + 3) as u64;
        progress(WHAT, 0, steps);
        if self.least_cosine(wanted)? >= goal {
            progress(WHAT, steps, steps);
            return Ok(Some((wanted.to_vec(), Vec::new())));
        }
        let order = match self.order.take() {
            Some(order) => order,
            None => {
                let mut losses = Vec::with_capacity(wanted.len());
                for (i, form) in wanted.iter().enumerate() {
                    progress(WHAT, 1 + i as u64, steps);
                    let mut forms = vec![Form::Float32; wanted.len()];
                    forms[i] = *form;
                    losses.push((self.least_cosine(&forms)?, i));
                }
                losses.sort_by(|a, b| a.0.total_cmp(&b.0));
                losses.into_iter().map(|(_, i)| i).collect()
            }
        };
        let with = |count: usize| {
            let mut forms = wanted.to_vec();
            for i in order.iter().take(count) {
                forms[*i] = instead[*i];
            }
            forms
        };
        // `fails` layers do not do, `does` layers do.
        let (mut fails, mut does) = (0, order.len());
        let reaches = self.least_cosine(&with(does))? >= goal;
        while reaches && does - fails > 1 {
            progress(WHAT, steps - u64::from((does - fails).ilog2()) - 1, steps);
            let middle = usize::midpoint(fails, does);
            if self.least_cosine(&with(middle))? >= goal {
                does = middle;
            } else {
                fails = middle;
            }
        }
        progress(WHAT, steps, steps);
        let name = |i: &usize| self.layers.get(*i).map(|layer| layer.name.clone());
        let kept = order.iter().take(does).filter_map(name).collect();
        let chosen = with(does);
        self.order = Some(order);
        Ok(reaches.then_some((chosen, kept)))
    }
}
