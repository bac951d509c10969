//! Quantiles of Student's t distribution.

/// The value that a t-distributed number with `freedom` degrees of freedom, > 0, stays below
/// with probability `p`, 0 < p < 1.
///
/// Bisection of the distribution function, which is an incomplete beta function (Abramowitz
/// and Stegun 1964, 26.7.1).
pub(crate) fn student_quantile(p: f64, freedom: f64) -> f64 {
    if p < 0.5 {
        return -student_quantile(1.0 - p, freedom);
    }
    // P(|T| > t) = I_x(ν/2, 1/2) with x = ν / (ν + t²), which grows with x.
    let tail = 2.0 * (1.0 - p);
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..200 {
        let x = 0.5 * (low + high);
        if incomplete_beta(x, 0.5 * freedom, 0.5) < tail {
            low = x;
        } else {
            high = x;
        }
    }
    let x = 0.5 * (low + high);
    (freedom * (1.0 - x) / x).sqrt()
}

/// The regularised incomplete beta function by its continued fraction (Abramowitz and Stegun
/// 26.5.8), evaluated as by Lentz 1976, *Appl. Opt.* 15.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let log = a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b);
    let away = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let (mut c, mut fraction) = (1.0, d);
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            fraction *= c * d;
        }
        if (fraction - before).abs() < 1e-15 * fraction.abs() {
            break;
        }
    }
    log.exp() * fraction / a
}

/// `ln Γ(x)` for x > 0: the recurrence up to 15, then Stirling's series.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 15.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / x;
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.t.ppf`.
    #[test]
    fn equals_scipy() {
        let expected = [
            (0.95, 1.0, 6.313_751_514_800_932),
            (0.975, 3.0, 3.182_446_305_284_263_4),
            (0.9, 9.0, 1.383_028_738_396_492_5),
            (0.2, 5.0, -0.919_543_780_236_325_3),
            (0.999, 37.0, 3.325_631_045_195_437),
            (0.95, 1e4, 1.645_006_018_069_243),
        ];
        for (p, freedom, value) in expected {
            let found = student_quantile(p, freedom);
            assert!((found - value).abs() < 1e-9 * value.abs(), "{p} {freedom}: {found}");
        }
        assert!(student_quantile(0.5, 4.0).abs() < 1e-6);
    }
}
