//! Random directions, the same on every machine.

use ndarray::Array2;

use crate::numeric::Random;

/// `count` directions of unit length, `[count, dimensions]`, that depend on both numbers alone.
pub(super) fn directions(dimensions: usize, count: usize) -> Array2<f64> {
    let mut random = Random::new(0x6472_6966_7400 ^ dimensions as u64);
    // The sum of 12 uniform numbers less 6 is near enough to normal for a direction, and
    // needs no function whose last digit differs between machines.
    let mut normal = || (0..12).map(|_| random.uniform()).sum::<f64>() - 6.0;
    let mut directions = Array2::from_shape_simple_fn((count, dimensions), &mut normal);
    for mut row in directions.outer_iter_mut() {
        let length = row.dot(&row).sqrt();
        row.mapv_inplace(|v| if length > 0.0 { v / length } else { 0.0 });
    }
    directions
}
