//! Random updates of a list of examples, applied to something that follows the list.

use ndarray::{Array1, ArrayView1};
use offshoot_adapters::statistics::Statistics;
use offshoot_adapters::{RecursiveRidge, Result};
use proptest::prelude::*;

/// A labelled, weighted embedding.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) x: Array1<f32>,
    pub(crate) class: String,
    pub(crate) weight: f64,
}

/// What follows a list of examples.
pub(crate) trait Follower {
    fn add(&mut self, x: ArrayView1<f32>, class: &str, weight: f64) -> Result<()>;
    fn remove(&mut self, x: ArrayView1<f32>, class: &str, weight: f64) -> Result<()>;
    fn relabel(&mut self, x: ArrayView1<f32>, from: &str, to: &str, weight: f64) -> Result<()>;
    fn reweight(&mut self, x: ArrayView1<f32>, class: &str, from: f64, to: f64) -> Result<()>;
    fn forget_class(&mut self, class: &str, examples: &[(ArrayView1<f32>, f64)]) -> Result<()>;
}

/// Passes each call on to the method of the same name.
macro_rules! follow {
    ($type:ty) => {
        impl Follower for $type {
            fn add(&mut self, x: ArrayView1<f32>, class: &str, weight: f64) -> Result<()> {
                self.add(x, class, weight)
            }
            fn remove(&mut self, x: ArrayView1<f32>, class: &str, weight: f64) -> Result<()> {
                self.remove(x, class, weight)
            }
            fn relabel(
                &mut self,
                x: ArrayView1<f32>,
                from: &str,
                to: &str,
                weight: f64,
            ) -> Result<()> {
                self.relabel(x, from, to, weight)
            }
            fn reweight(
                &mut self,
                x: ArrayView1<f32>,
                class: &str,
                from: f64,
                to: f64,
            ) -> Result<()> {
                self.reweight(x, class, from, to)
            }
            fn forget_class(
                &mut self,
                class: &str,
                examples: &[(ArrayView1<f32>, f64)],
            ) -> Result<()> {
                self.forget_class(class, examples)
            }
        }
    };
}

follow!(Statistics);
follow!(RecursiveRidge);

/// One update, of an example chosen by a number.
#[derive(Clone, Debug)]
pub(crate) enum Update {
    Add(Example),
    Remove(usize),
    Relabel(usize, String),
    Reweight(usize, f64),
    Forget(usize),
}

impl Update {
    /// Does it to the list and to what follows the list.
    pub(crate) fn apply(self, examples: &mut Vec<Example>, follower: &mut impl Follower) {
        let n = examples.len().max(1);
        match self {
            Self::Add(e) => {
                follower.add(e.x.view(), &e.class, e.weight).unwrap();
                examples.push(e);
            }
            _ if examples.is_empty() => {}
            Self::Remove(i) => {
                let e = examples.swap_remove(i % n);
                follower.remove(e.x.view(), &e.class, e.weight).unwrap();
            }
            Self::Relabel(i, class) => {
                let e = &mut examples[i % n];
                follower.relabel(e.x.view(), &e.class, &class, e.weight).unwrap();
                e.class = class;
            }
            Self::Reweight(i, weight) => {
                let e = &mut examples[i % n];
                follower.reweight(e.x.view(), &e.class, e.weight, weight).unwrap();
                e.weight = weight;
            }
            Self::Forget(i) => {
                let class = examples[i % n].class.clone();
                let (gone, left) = examples.drain(..).partition(|e| e.class == class);
                *examples = left;
                let gone: Vec<Example> = gone;
                let gone: Vec<_> = gone.iter().map(|e| (e.x.view(), e.weight)).collect();
                follower.forget_class(&class, &gone).unwrap();
            }
        }
    }
}

/// Widths to try.
pub(crate) fn dimensions() -> impl Strategy<Value = usize> {
    1usize..12
}

fn class() -> impl Strategy<Value = String> {
    (0u8..7).prop_map(|k| format!("class {k}"))
}

fn weight() -> impl Strategy<Value = f64> {
    prop_oneof![4 => Just(1.0), 1 => 0.1f64..10.0]
}

/// A random update of examples of `d` dimensions; more are added than removed.
pub(crate) fn update(d: usize) -> impl Strategy<Value = Update> {
    let x = prop::collection::vec(-1f32..1.0, d).prop_map(Array1::from_vec);
    let example =
        (x, class(), weight()).prop_map(|(x, class, weight)| Example { x, class, weight });
    prop_oneof![
        40 => example.prop_map(Update::Add),
        24 => any::<usize>().prop_map(Update::Remove),
        10 => (any::<usize>(), class()).prop_map(|(i, class)| Update::Relabel(i, class)),
        10 => (any::<usize>(), weight()).prop_map(|(i, weight)| Update::Reweight(i, weight)),
        1 => any::<usize>().prop_map(Update::Forget),
    ]
}

/// Statistics of these examples and no others.
pub(crate) fn from_scratch(d: usize, examples: &[Example]) -> Statistics {
    let mut statistics = Statistics::new(d).unwrap();
    for e in examples {
        statistics.add(e.x.view(), &e.class, e.weight).unwrap();
    }
    statistics
}
