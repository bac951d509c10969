//! The minimum of a smooth strongly convex function.

use std::collections::VecDeque;

use ndarray::Array1;

/// Pairs of steps and gradient changes that are remembered.
const MEMORY: usize = 20;
/// Most evaluations of one line search.
const EVALUATIONS: usize = 60;
/// Sufficient decrease and curvature of a step.
const WOLFE: (f64, f64) = (1e-4, 0.9);

/// Walks from `x` to the minimum of a function that gives its value and gradient, until the
/// gradient is shorter than `tolerance` or rounding hides every descent, in at most
/// `iterations`. Limited-memory BFGS (Liu and Nocedal 1989, *Math. Program.* 45). Returns
/// the point and the length of its gradient.
pub(crate) fn minimize(
    mut x: Array1<f64>,
    tolerance: f64,
    iterations: usize,
    function: impl Fn(&Array1<f64>) -> (f64, Array1<f64>),
) -> (Array1<f64>, f64) {
    let (mut value, mut gradient) = function(&x);
    let mut pairs: VecDeque<(Array1<f64>, Array1<f64>, f64)> = VecDeque::new();
    for _ in 0..iterations {
        if norm(&gradient) <= tolerance {
            break;
        }
        let mut direction = -descend(&pairs, &gradient);
        if gradient.dot(&direction) >= 0.0 {
            pairs.clear();
            direction = -&gradient / norm(&gradient).max(1.0);
        }
        let Some((next, next_value, next_gradient)) =
            search(&x, value, &gradient, &direction, &function)
        else {
            break;
        };
        let (step, change) = (&next - &x, &next_gradient - &gradient);
        let product = step.dot(&change);
        if product > 0.0 {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back((step, change, 1.0 / product));
        }
        (x, value, gradient) = (next, next_value, next_gradient);
    }
    let left = norm(&gradient);
    (x, left)
}

fn norm(v: &Array1<f64>) -> f64 {
    v.dot(v).sqrt()
}

/// The remembered inverse curvature times the gradient.
fn descend(
    pairs: &VecDeque<(Array1<f64>, Array1<f64>, f64)>,
    gradient: &Array1<f64>,
) -> Array1<f64> {
    let mut q = gradient.clone();
    let mut weights = Vec::with_capacity(pairs.len());
    for (step, change, rho) in pairs.iter().rev() {
        let weight = rho * step.dot(&q);
        q.scaled_add(-weight, change);
        weights.push(weight);
    }
    let scale = pairs
        .back()
        .map_or(1.0 / norm(gradient).max(1.0), |(_, change, rho)| 1.0 / (rho * change.dot(change)));
    q *= scale;
    for ((step, change, rho), weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let back = rho * change.dot(&q);
        q.scaled_add(weight - back, step);
    }
    q
}

/// A step along the direction that meets the Wolfe conditions or, where the value no longer
/// resolves the change, those of Hager and Zhang 2005, *SIAM J. Optim.* 16.
fn search(
    x: &Array1<f64>,
    value: f64,
    gradient: &Array1<f64>,
    direction: &Array1<f64>,
    function: &impl Fn(&Array1<f64>) -> (f64, Array1<f64>),
) -> Option<(Array1<f64>, f64, Array1<f64>)> {
    let (decrease, curvature) = WOLFE;
    let slope = gradient.dot(direction);
    let noise = 1e-14 * (1.0 + value.abs());
    let (mut low, mut high, mut t) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..EVALUATIONS {
        let next = x + &(direction * t);
        let (next_value, next_gradient) = function(&next);
        let (change, next_slope) = (next_value - value, next_gradient.dot(direction));
        let finite = change.is_finite() && next_slope.is_finite();
        let nearly = change <= noise && next_slope <= (2.0 * decrease - 1.0) * slope;
        let decreased = change <= decrease * t * slope || nearly;
        if finite && decreased && next_slope >= curvature * slope {
            return Some((next, next_value, next_gradient));
        }
        if finite && decreased && next_slope < 0.0 {
            low = t;
        } else {
            high = t;
        }
        t = if high.is_finite() { 0.5 * (low + high) } else { 4.0 * t };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_minima_of_badly_scaled_functions() {
        // Σ cᵢ (cosh(xᵢ - i) - 1), c from 1 to 1e4: the minimum is at i.
        let n = 30;
        let weight = |i: usize| 10f64.powf(4.0 * i as f64 / (n - 1) as f64);
        let function = |x: &Array1<f64>| {
            let at = |i: usize| x[i] - i as f64 / 10.0;
            let value = (0..n).map(|i| weight(i) * (at(i).cosh() - 1.0)).sum();
            (value, Array1::from_shape_fn(n, |i| weight(i) * at(i).sinh()))
        };
        let (x, left) = minimize(Array1::zeros(n), 1e-9, 1_000, function);
        assert!(left <= 1e-9, "{left}");
        assert!((0..n).all(|i| (x[i] - i as f64 / 10.0).abs() < 1e-9));
    }
}
