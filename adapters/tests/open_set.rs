//! False accepts of films that were never labelled, against the rate asked for.

mod support;

use ndarray::{Array2, Axis};
use offshoot_adapters::open_set::OpenSet;
use support::{Draws, film_names, npy};

/// Mean shares over draws.
struct Measured {
    false_accepts: f64,
    error: f64,
    accepts: f64,
    expected: f64,
}

/// Draws of `films` known films with `shots` labels each; all reviews of the other films are
/// unknown, all other reviews of the known ones known. Unlabeled are a third of all reviews.
fn measure(films: usize, shots: usize, rate: f64, unlabeled: bool) -> Measured {
    let all = npy("embeddings.npy") / 256.0;
    let pick = |rows: &[usize]| -> Array2<f32> { all.select(Axis(0), rows) };
    let mut draws = Draws(100 * films as u64 + shots as u64);
    let (mut wrong, mut accepts, mut expected, count) = (Vec::new(), 0.0, 0.0, 100);
    for _ in 0..count {
        let order = draws.shuffled(19);
        let (mut train, mut y, mut known, mut unknown) = (vec![], vec![], vec![], vec![]);
        for (class, film) in order.iter().enumerate() {
            let reviews: Vec<usize> = draws.shuffled(20).iter().map(|r| 20 * film + r).collect();
            if class < films {
                train.extend(&reviews[..shots]);
                y.extend(std::iter::repeat_n(class, shots));
                known.extend(&reviews[shots..]);
            } else {
                unknown.extend(reviews);
            }
        }
        let seen = pick(&draws.shuffled(380)[..127]);
        let more = unlabeled.then_some(seen.view());
        let gate = OpenSet::fit(pick(&train).view(), &y, &film_names(films), more).unwrap();
        let share = |rows: &[usize]| {
            let accepted = gate.accepts(pick(rows).view(), rate).unwrap();
            accepted.iter().filter(|a| **a).count() as f64 / accepted.len() as f64
        };
        wrong.push(share(&unknown));
        accepts += share(&known) / f64::from(count);
        expected += gate.expected_accepts(rate).unwrap().unwrap() / f64::from(count);
    }
    let false_accepts = wrong.iter().sum::<f64>() / f64::from(count);
    let variance = wrong.iter().map(|w| (w - false_accepts).powi(2)).sum::<f64>();
    let error = (variance / f64::from(count - 1) / f64::from(count)).sqrt();
    println!(
        "{films} films, {shots} labels, unlabeled {unlabeled}: wanted {rate}, \
         got {false_accepts:.3} ± {error:.3}, known {accepts:.3}, expected {expected:.3}"
    );
    Measured { false_accepts, error, accepts, expected }
}

#[test]
fn unknown_films_are_accepted_no_more_often_than_asked() {
    for (films, shots) in [(2, 5), (2, 16), (5, 5), (5, 8), (12, 5), (12, 16)] {
        for rate in [0.05, 0.1, 0.2] {
            for unlabeled in [false, true] {
                let found = measure(films, shots, rate, unlabeled);
                // No more than asked, but for what 100 draws can tell.
                let limit = rate + 3.0 * found.error;
                assert!(found.false_accepts < limit, "{}", found.false_accepts);
                // Known films pass more often than unknown ones, as often as said.
                assert!(found.accepts > 1.5 * found.false_accepts, "{}", found.accepts);
                assert!(found.expected < found.accepts + 0.03, "{}", found.expected);
                assert!(found.expected > found.accepts - 0.2, "{}", found.expected);
            }
        }
    }
}

#[test]
fn the_rate_is_used_and_unlabeled_embeddings_help() {
    let plain = measure(12, 16, 0.1, false);
    let helped = measure(12, 16, 0.1, true);
    assert!(plain.false_accepts > 0.05 && helped.false_accepts > 0.05);
    assert!(helped.accepts > plain.accepts + 0.03, "{} {}", helped.accepts, plain.accepts);
}
