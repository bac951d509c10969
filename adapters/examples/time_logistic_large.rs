//! Time to fit logistic regression to 10,000 examples of 384 dimensions and 20 classes.
//!
//! Run with `cargo run --release -p offshoot-adapters --example time_logistic_large -- FOLDER`
//! after `python adapters/tests/reference/time_logistic_large.py FOLDER` has written the
//! examples there; that script then runs both in turn and compares their optima.

use std::path::Path;
use std::time::Instant;

use ndarray::Array2;
use offshoot_adapters::{Classes, Head, Logistic};

const SIZES: [usize; 3] = [10_000, 384, 20];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder of the examples")?;
    let [n, d, k] = SIZES;
    let bytes = std::fs::read(Path::new(&folder).join("x.f32"))?;
    let values = bytes.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
    let x = Array2::from_shape_vec((n, d), values)?;
    let y: Vec<usize> =
        std::fs::read(Path::new(&folder).join("y.u8"))?.into_iter().map(usize::from).collect();
    let classes = Classes::new((0..k).map(|class| format!("{class:02}")).collect())?;
    for c in [1.0, 32.0] {
        let config = Logistic { c, ..Logistic::default() };
        // The first fit touches new memory, as does scikit-learn's, which is not timed either.
        config.fit(x.view(), &y, classes.clone())?;
        let start = Instant::now();
        let head = config.fit(x.view(), &y, classes.clone())?;
        let took = start.elapsed().as_secs_f64();
        let Head::Logistic(head) = head else { continue };
        println!("{c} {took:.4} {}", head.iterations());
        let bytes: Vec<u8> = head.coefficients().iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(Path::new(&folder).join(format!("w{c}.f64")), bytes)?;
    }
    Ok(())
}
