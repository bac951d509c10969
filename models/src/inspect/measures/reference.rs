//! Every measure against scikit-learn, SciPy and NumPy (`tests/reference/inspect/make.py`).

use ndarray::Array2;
use serde_json::Value;

use super::geometry::{classes, clusters, collapse, cosines, hubness, partition, uniformity};
use super::information::bits::{Form, kept};
use super::information::{intrinsic_dimension, spectrum::Spectrum};
use crate::inspect::numeric::neighbors::Neighbors;
use crate::inspect::numeric::products::unit_rows;
use crate::inspect::ranking::spearman;

#[test]
fn every_measure_equals_its_reference() {
    let text = include_str!("../../../tests/reference/inspect/measures.json");
    let wanted: Value = serde_json::from_str(text).unwrap();
    let list = |key: &str| -> Vec<f64> {
        wanted[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let whole = |key: &str| list(key).into_iter().map(|v| v as usize).collect::<Vec<_>>();
    let rows = wanted["x"].as_array().unwrap();
    let x = Array2::from_shape_fn((rows.len(), 10), |(i, j)| rows[i][j].as_f64().unwrap() as f32);
    let (labels, other) = (whole("labels"), whole("other"));
    let unit = unit_rows(x.view());
    let close = |key: &str, value: f64, tolerance: f64| {
        let wanted = wanted[key].as_f64().unwrap();
        assert!(
            (value - wanted).abs() <= tolerance * wanted.abs().max(1.0),
            "{key}: {value} {wanted}"
        );
    };
    // In 64-bit floats throughout.
    let spectrum = Spectrum::of(x.view());
    close("effective_rank", spectrum.rank_me().0, 1e-9);
    close("participation_ratio", spectrum.participation_ratio().0, 1e-9);
    close("decay", spectrum.decay().0, 1e-9);
    close("nmi", partition::normalized_mutual_information(&labels, &other), 1e-12);
    close("rand", partition::adjusted_rand(&labels, &other), 1e-12);
    let found = collapse::collapse(x.view(), &labels).unwrap();
    close("nc1", found.within_over_between, 1e-8);
    close("cdnv", found.cdnv, 1e-9);
    close("directional", found.directional, 1e-9);
    let columns: Vec<Vec<f64>> =
        (0..2).map(|j| x.column(j).iter().map(|&v| f64::from(v)).collect()).collect();
    close("spearman", spearman(&columns[0], &columns[1]).unwrap(), 1e-12);
    // From distances of 32-bit rows.
    let near = Neighbors::among(x.view(), 10);
    let pairs: Vec<_> = near.distances.outer_iter().map(|row| (row[0], row[1])).collect();
    close("two_nn", intrinsic_dimension::two_nn(&pairs, 0).unwrap().0, 1e-5);
    let far: Vec<Vec<f64>> = near.distances.outer_iter().map(|row| row.to_vec()).collect();
    let rows = far.iter().map(Vec::as_slice);
    close("mle", intrinsic_dimension::maximum_likelihood(rows, 0).unwrap().0, 1e-5);
    let hubs = hubness::hubness(&near, 0).unwrap();
    close("hubness", hubs.skewness, 1e-12);
    close("never", hubs.never, 1e-12);
    close("uniformity", uniformity::uniformity(unit.view()), 1e-5);
    close("anisotropy", cosines::cosines(unit.view(), 0).unwrap().mean, 1e-5);
    close("separation", classes::separation(unit.view(), &labels), 1e-5);
    let distances = clusters::distances(x.view());
    for (value, wanted) in
        clusters::silhouettes(distances.view(), &labels).iter().zip(list("silhouette"))
    {
        assert!((value - wanted).abs() < 1e-5, "{value} {wanted}");
    }
    let bits = kept(x.view(), 0);
    close("int8", bits[0].neighbors, 1e-12);
    let half = bits.iter().find(|kept| kept.form == Form::Cut(5)).unwrap();
    close("half", half.neighbors, 1e-12);
    close("half_error", half.error, 1e-5);
}
