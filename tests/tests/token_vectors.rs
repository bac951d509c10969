//! Vectors of single tokens against transformers, and whatever the pooling after them.

use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView1, Axis, s};
use offshoot::{EmbedOptions, Encoder, Truncation, WeightCache};
use offshoot_export::ImportOptions;
use offshoot_tests::{senses, tiny};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<u32>,
}

/// Texts with the vectors of their tokens one after another.
fn reference() -> (Vec<Row>, Array2<f32>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/token_vectors");
    let rows = std::fs::read(folder.join("texts.json")).unwrap();
    let rows: Vec<Row> = serde_json::from_slice(&rows).unwrap();
    let npy = std::fs::read(folder.join("vectors.npy")).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    let description = std::str::from_utf8(&npy[10..header]).unwrap();
    assert!(description.contains("'<f4'") && description.contains("(65, 384)"));
    let values = npy[header..].as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    (rows, Array2::from_shape_vec((65, 384), values).unwrap())
}

/// Largest difference, where the second vector has length 1.
fn difference(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f32 {
    let length = b.dot(&b).sqrt();
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / length
}

#[test]
fn they_are_those_of_transformers() {
    let (rows, expected) = reference();
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let ids: Vec<Vec<u32>> = rows.iter().map(|row| row.ids.clone()).collect();
    let encoder = offshoot_tests::open(offshoot_tests::minilm());
    let options = EmbedOptions::default();
    assert_eq!(encoder.token_width().unwrap(), Some(384));
    let together = encoder.token_vectors(&texts, &options).unwrap();
    let of_ids = encoder.token_vectors_of(&ids, &EmbedOptions { narrow: true, ..options }).unwrap();
    for vectors in [together, of_ids] {
        let mut start = 0;
        for (row, found) in rows.iter().zip(&vectors) {
            let expected = expected.slice(s![start..start + row.ids.len(), ..]);
            start += row.ids.len();
            assert_eq!(found.dim(), expected.dim(), "{:?}", row.text);
            for (found, expected) in found.outer_iter().zip(expected.outer_iter()) {
                let difference = difference(found, expected);
                // As embeddings differ from those of sentence-transformers, in parity.rs.
                assert!(difference <= 2e-6, "{difference:e} in {:?}", row.text);
            }
        }
        assert_eq!(start, expected.nrows());
    }
}

/// A bundle of the tiny encoder with this pooling, and unit vectors after it or not.
fn pooled(folder: &Path, name: &str, pooling: &serde_json::Value, unit: bool) -> PathBuf {
    let source = folder.join(name);
    tiny::write(&source, 1);
    std::fs::write(source.join("1_Pooling/config.json"), pooling.to_string()).unwrap();
    if !unit {
        let transformer = |name: &str, path: &str| {
            json!({"idx": 0, "name": name, "path": path,
                   "type": format!("sentence_transformers.models.{name}")})
        };
        let modules = json!([transformer("Transformer", ""), transformer("Pooling", "1_Pooling")]);
        std::fs::write(source.join("modules.json"), modules.to_string()).unwrap();
    }
    let bundle = folder.join(format!("{name}.offshoot"));
    offshoot_export::import(&source, &bundle, &ImportOptions::default(), &mut |_| {}).unwrap();
    bundle
}

#[test]
fn they_are_the_same_whatever_pools_them() {
    let folder = tempfile::tempdir().unwrap();
    let texts = ["the film was good", "", "a dull plot and a great actor", "win"];
    let options = EmbedOptions::default();
    let of = |bundle: &Path| {
        let encoder = offshoot_tests::options().cache(WeightCache::Off).open(bundle).unwrap();
        encoder.token_vectors(&texts, &options).unwrap()
    };
    let expected = of(&tiny::bundle(folder.path(), "plain", 1));
    for pools in ["cls", "max", "mean", "mean_sqrt_len_tokens", "lasttoken", "cls mean max"] {
        let names: Vec<&str> = pools.split(' ').collect();
        for unit in [true, false] {
            let name = format!("{}-{unit}", names.join("-"));
            let bundle = pooled(folder.path(), &name, &json!({"pooling_mode": names}), unit);
            assert_eq!(of(&bundle), expected, "{name}");
        }
    }
}

fn unit(vector: ndarray::Array1<f32>) -> ndarray::Array1<f32> {
    let length = vector.dot(&vector).sqrt();
    vector / length
}

/// Whether an encoder that pools by the mean does so, up to length.
fn assert_means(encoder: &Encoder, batch_tokens: usize) {
    let texts: Vec<String> =
        (0..30).map(|i| format!("{} a film {i}", "very good ".repeat(i % 11))).collect();
    let options = EmbedOptions { batch_tokens, ..Default::default() };
    let embeddings = encoder.embed_with(&texts, &options).unwrap();
    let vectors = encoder.token_vectors(&texts, &options).unwrap();
    for (vectors, embedding) in vectors.iter().zip(embeddings.vectors().outer_iter()) {
        let mean = unit(vectors.mean_axis(Axis(0)).unwrap());
        let difference = difference(mean.view(), unit(embedding.to_owned()).view());
        assert!(difference < 1e-6, "{difference:e}");
    }
}

#[test]
fn their_mean_is_the_embedding_where_that_pools() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo/movies/movies.offshoot");
    // The second one is quantised with the scale of a batch, so each text is one.
    for (bundle, batch) in [(tiny::bundle(folder.path(), "tiny", 1), 60), (zoo, 1)] {
        let encoder = offshoot_tests::open(&bundle);
        assert_means(&encoder, batch);
        // They are opened again, and from the weights that were laid out.
        encoder.unload();
        assert_means(&encoder, batch);
        assert_means(&offshoot_tests::open(&bundle), batch);
    }
}

#[test]
fn long_texts_are_cut_or_refused_and_other_encoders_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = offshoot_tests::open(&tiny::bundle(folder.path(), "tiny", 1));
    let long = "film ".repeat(100);
    let cut = encoder.token_vectors(&[&long], &EmbedOptions::default()).unwrap();
    assert_eq!(cut[0].dim(), (encoder.max_tokens(), tiny::WIDTH));
    let refuse = EmbedOptions { truncation: Truncation::Refuse, ..Default::default() };
    encoder.token_vectors(&[&long], &refuse).unwrap_err();
    let fewer = EmbedOptions { dimensions: std::num::NonZero::new(4), ..Default::default() };
    let error = encoder.token_vectors(&["a"], &fewer).unwrap_err().to_string();
    assert!(error.contains("`dimensions`"), "{error}");
    let images = offshoot_tests::open(&senses::image_bundle(folder.path(), "images"));
    assert_eq!(images.token_width().unwrap(), None);
    let error = images.token_vectors(&["a"], &EmbedOptions::default()).unwrap_err().to_string();
    assert!(error.contains("reads images, not texts"), "{error}");
}
