//! Reference fixtures, made by the scripts in `tests/reference/`.

// Each test binary uses some of these.
#![allow(dead_code)]

pub(crate) mod updates;

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array2, s};
use serde_json::Value;

/// The path of a fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// Reads a 2-D `.npy` file, version 1, C order, of `i1` or `<f4`.
pub(crate) fn npy(name: &str) -> Array2<f32> {
    let bytes = fs::read(fixture(name)).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\0", "{name}");
    let data = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..data]).unwrap();
    assert!(header.contains("'fortran_order': False"), "{header}");
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let shape: Vec<usize> = shape.split(',').map(|n| n.trim().parse().unwrap()).collect();
    let values: Vec<f32> = if header.contains("'|i1'") {
        bytes[data..].iter().map(|&byte| f32::from(byte as i8)).collect()
    } else {
        assert!(header.contains("'<f4'"), "{header}");
        let words = bytes[data..].as_chunks::<4>().0;
        words.iter().map(|&word| f32::from_le_bytes(word)).collect()
    };
    Array2::from_shape_vec((shape[0], shape[1]), values).unwrap()
}

/// Embeddings of `shots` reviews of each of the first `films`, cut to `dimensions`: to learn
/// from, the film of each, and 4 other reviews a film to test on.
pub(crate) fn reviews(
    films: usize,
    shots: usize,
    dimensions: usize,
) -> (Array2<f32>, Vec<usize>, Array2<f32>) {
    let all = npy("embeddings.npy") / 256.0;
    let pick = |from: usize, to: usize| {
        let rows: Vec<usize> =
            (0..films).flat_map(|f| (from..to).map(move |r| 20 * f + r)).collect();
        all.select(ndarray::Axis(0), &rows).slice(s![.., ..dimensions]).to_owned()
    };
    let y = (0..films).flat_map(|film| std::iter::repeat_n(film, shots)).collect();
    (pick(0, shots), y, pick(16, 20))
}

/// The reference results of one case of `make_heads.py`.
pub(crate) fn case(name: &str) -> Value {
    let text = fs::read_to_string(fixture("heads.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["cases"][name].clone()
}

/// A JSON list of numbers.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Film names `film00` and on, which sort in order.
pub(crate) fn film_names(films: usize) -> offshoot_adapters::Classes {
    offshoot_adapters::Classes::new((0..films).map(|f| format!("film{f:02}")).collect()).unwrap()
}
