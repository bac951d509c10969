//! From the examples of a store to a head.

use ndarray::ArrayView2;
use offshoot_adapters::statistics::{Shrinkage, Statistics};
use offshoot_adapters::{Classes, EncoderTag, Head, HeadFile, HeadKind, Ridge};

use super::store::Labelled;
use crate::error::{Error, Result};

/// Fits the head that the store names to its examples.
///
/// Where all weights are the same, whatever they are, the head is the one of examples without
/// weights, its settings found by leaving out one example at a time. Weights that differ go
/// into the sums of the closed-form heads, whose settings then come from the sums; `auto`
/// becomes ridge then, and the other kinds refuse them.
pub(super) fn fit(examples: &Labelled, encoder: &EncoderTag) -> Result<HeadFile> {
    let kind: HeadKind = examples.head.parse()?;
    let (classes, y) = Classes::from_labels(&examples.labels)?;
    let x = examples.embeddings.view();
    let head = if examples.weights.windows(2).all(|pair| pair[0] == pair[1]) {
        kind.fit(x, &y, classes)?
    } else {
        weighted(kind, x, examples)?
    };
    Ok(HeadFile::new(encoder.clone(), head, &y))
}

fn weighted(kind: HeadKind, x: ArrayView2<'_, f32>, examples: &Labelled) -> Result<Head> {
    let closed_form =
        [HeadKind::Auto, HeadKind::NearestMean, HeadKind::Ridge, HeadKind::Discriminant];
    if !closed_form.contains(&kind) {
        return Err(Error::Weights { head: kind.to_string() });
    }
    // Only their ratio counts: a mean of 1 is what examples without weights have.
    let mean = examples.weights.iter().sum::<f64>() / examples.weights.len() as f64;
    let mut sums = Statistics::for_embeddings(x)?;
    for ((row, label), weight) in x.outer_iter().zip(&examples.labels).zip(&examples.weights) {
        sums.add(row, label, weight / mean)?;
    }
    Ok(match kind {
        HeadKind::NearestMean => sums.nearest_mean()?,
        HeadKind::Discriminant => sums.discriminant(Shrinkage::default())?,
        _ => sums.ridge(&Ridge::default())?,
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis, concatenate};

    use super::*;
    use crate::learner::ExampleId;

    const LABELS: [&str; 6] = ["a", "b", "a", "b", "a", "c"];

    fn labelled(kind: HeadKind, weights: &[f64]) -> Labelled {
        Labelled {
            revision: 1,
            head: kind.to_string(),
            ids: (1..=6).map(ExampleId).collect(),
            embeddings: Array2::from_shape_fn((6, 3), |(i, j)| ((7 * i + 3 * j) as f32).sin()),
            labels: LABELS.map(str::to_owned).to_vec(),
            weights: weights.to_vec(),
        }
    }

    fn tag() -> EncoderTag {
        EncoderTag { digest: "d".into(), name: "n".into(), dimensions: 3, prompt: None }
    }

    #[test]
    fn a_weight_of_two_is_an_example_taught_twice() {
        // The mean of these weights is 1, of the examples taught once or twice it is 4/3.
        let once = labelled(HeadKind::NearestMean, &[0.75, 0.75, 1.5, 0.75, 0.75, 1.5]);
        let mut twice = once.clone();
        let again = once.embeddings.select(Axis(0), &[2, 5]);
        twice.embeddings = concatenate(Axis(0), &[once.embeddings.view(), again.view()]).unwrap();
        twice.ids.extend([ExampleId(7), ExampleId(8)]);
        twice.labels.extend(["a".to_owned(), "c".to_owned()]);
        twice.weights = vec![3.0; 8];
        let means = |labelled| match fit(labelled, &tag()).unwrap().head {
            Head::NearestMean(head) => head.means().clone(),
            other => panic!("{other:?}"),
        };
        let (once, twice) = (means(&once), means(&twice));
        assert!((&once - &twice).iter().all(|d| d.abs() < 1e-9), "{once:?} {twice:?}");
    }

    #[test]
    fn equal_weights_are_none_and_others_are_used_or_refused() {
        for kind in HeadKind::ALL {
            let fitted = |weights: &[f64]| fit(&labelled(kind, weights), &tag());
            let plain = fitted(&[1.0; 6]).unwrap();
            assert_eq!(fitted(&[0.25; 6]).unwrap(), plain);
            let weights = [1.0, 1.0, 0.5, 1.0, 1.0, 1.0];
            match kind {
                HeadKind::Auto
                | HeadKind::NearestMean
                | HeadKind::Ridge
                | HeadKind::Discriminant => {
                    let head = fitted(&weights).unwrap();
                    let expected = if kind == HeadKind::Auto { HeadKind::Ridge } else { kind };
                    assert_eq!(head.head.kind(), expected);
                    assert_ne!(head.head, plain.head);
                }
                _ => assert!(matches!(fitted(&weights), Err(Error::Weights { .. })), "{kind}"),
            }
        }
    }
}
