//! The learning rate over a run.

/// A rate that rises in a straight line over the warm-up and falls as half a cosine to a
/// hundredth of its highest (Loshchilov & Hutter, 2017, arXiv:1608.03983).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Number of steps of the run.
    pub steps: u64,
    /// Number of steps of the warm-up.
    pub warm_up: u64,
    /// The highest rate.
    pub peak: f32,
}

impl Schedule {
    /// The rate of a step, from 0.
    pub fn rate(&self, step: u64) -> f32 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f32 / self.warm_up as f32;
        }
        let falling = self.steps.saturating_sub(self.warm_up).max(1) as f64;
        let share = ((step - self.warm_up) as f64 / falling).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
        (f64::from(self.peak) * (0.01 + 0.99 * cosine)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_a_hundredth() {
        let schedule = Schedule { steps: 110, warm_up: 10, peak: 1.0 };
        assert!((schedule.rate(0) - 0.1).abs() < 1e-6);
        assert!((schedule.rate(9) - 1.0).abs() < 1e-6);
        assert!((schedule.rate(10) - 1.0).abs() < 1e-6);
        assert!((schedule.rate(60) - 0.505).abs() < 1e-6);
        assert!((schedule.rate(110) - 0.01).abs() < 1e-6);
        assert!((schedule.rate(500) - 0.01).abs() < 1e-6);
        let none = Schedule { steps: 0, warm_up: 0, peak: 2.0 };
        assert!(none.rate(0) <= 2.0);
    }
}
