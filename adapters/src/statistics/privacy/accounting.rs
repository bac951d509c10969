//! From zero-concentrated differential privacy to (ε, δ).

/// The δ that ρ-zCDP implies at this ε, as a logarithm: the infimum over α > 1 of
/// `exp((α - 1)(αρ - ε)) / (α - 1) · (1 - 1/α)^α` (Canonne, Kamath and Steinke 2020,
/// corollary 13). Every α gives a valid δ, so that an inexact search only errs to the safe side.
pub(super) fn log_delta(rho: f64, epsilon: f64) -> f64 {
    let at = |log: f64| {
        let over = log.exp();
        let alpha = 1.0 + over;
        over * (alpha * rho - epsilon) - log - alpha * (1.0 / over).ln_1p()
    };
    let (mut low, mut high) = (-20.0, 30.0);
    for _ in 0..200 {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if at(a) < at(b) { high = b } else { low = a }
    }
    at(0.5 * (low + high)).min(0.0)
}

/// The largest ρ that implies (ε, δ), from below.
pub(super) fn rho(epsilon: f64, delta: f64) -> f64 {
    let (mut low, mut high) = (-60.0, (epsilon + 50.0).ln());
    for _ in 0..100 {
        let middle: f64 = 0.5 * (low + high);
        if log_delta(middle.exp(), epsilon) <= delta.ln() { low = middle } else { high = middle }
    }
    low.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_figures_of_an_independent_script() {
        let text = include_str!("../../../tests/reference/privacy.json");
        let cases: Vec<[f64; 3]> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 10);
        for [rho_given, epsilon, log] in cases {
            let found = log_delta(rho_given, epsilon);
            assert!(
                (found - log).abs() < 1e-6 * log.abs().max(1.0),
                "{rho_given} {epsilon}: {found}"
            );
            // Where exp does not underflow.
            if (-600.0..-1.0).contains(&log) {
                assert!((rho(epsilon, log.exp()) / rho_given - 1.0).abs() < 1e-5);
            }
        }
    }
}
