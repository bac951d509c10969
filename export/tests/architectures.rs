//! Every architecture, in both lowerings, against `transformers` on small random
//! encoders: see `reference/architectures/make.py`.

mod common;

use std::path::{Path, PathBuf};

use common::Ids;
use offshoot_export::architectures::{self, TokenEncoder};
use offshoot_export::checkpoint::Checkpoint;
use offshoot_export::graph::Lowering;
use safetensors::SafeTensors;

/// Largest absolute difference of a token vector's element.
const TOLERANCE: f32 = 1e-5;

fn build(folder: &Path, lowering: Lowering) -> offshoot_export::Result<TokenEncoder> {
    let path = folder.join("config.json");
    let config = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    architectures::build(&path, &config, &Checkpoint::open(folder)?, lowering)
}

/// What `transformers` was given and gave.
struct Expected {
    ids: Ids,
    mask: Ids,
    /// Vectors of the real tokens, text after text.
    vectors: Vec<f32>,
}

impl Expected {
    fn read(folder: &Path) -> Self {
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let integers = |name| {
            let tensor = tensors.tensor(name).unwrap();
            let values = tensor.data().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b));
            Ids { shape: [tensor.shape()[0], tensor.shape()[1]], values: values.collect() }
        };
        let vectors = tensors.tensor("token_vectors").unwrap();
        let vectors = vectors.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b));
        Self {
            ids: integers("input_ids"),
            mask: integers("attention_mask"),
            vectors: vectors.collect(),
        }
    }

    /// The ids of each text without its padding.
    fn texts(&self) -> Vec<&[i64]> {
        let tokens = self.ids.shape[1];
        let rows = self.ids.values.chunks(tokens).zip(self.mask.values.chunks(tokens));
        rows.map(|(ids, mask)| &ids[..mask.iter().sum::<i64>() as usize]).collect()
    }

    /// The vectors of the real tokens among those of the whole batch.
    fn real(&self, vectors: &[f32]) -> Vec<f32> {
        let width = vectors.len() / self.mask.values.len();
        let rows = vectors.chunks(width).zip(&self.mask.values);
        rows.filter(|(_, mask)| **mask == 1).flat_map(|(row, _)| row).copied().collect()
    }
}

fn largest_difference(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().all(|value| value.is_finite()));
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Holds the encoder of the folder `name` against the reference, and the batch
/// against each of its texts alone.
fn check(name: &str, architecture: &str, max_tokens: usize) {
    let folder: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests", "reference", "architectures", name].iter().collect();
    let expected = Expected::read(&folder);
    for lowering in [Lowering::Standard, Lowering::OnnxRuntime] {
        let mut encoder = build(&folder, lowering).unwrap();
        assert_eq!((encoder.architecture, encoder.max_tokens), (architecture, max_tokens));
        assert_eq!((encoder.width, encoder.vocabulary), (32, 97));
        encoder.graph.output("token_vectors", encoder.token_vectors).unwrap();
        let written = tempfile::tempdir().unwrap();
        common::write(&encoder.graph, written.path()).unwrap();

        let together = expected.real(&common::run(written.path(), &expected.ids, &expected.mask));
        let difference = largest_difference(&together, &expected.vectors);
        println!("{name}, {lowering:?}: {difference:e}");
        assert!(difference <= TOLERANCE, "{name}, {lowering:?}: {difference:e}");

        let alone: Vec<f32> = expected
            .texts()
            .iter()
            .flat_map(|text| {
                let ids = Ids { shape: [1, text.len()], values: text.to_vec() };
                let mask = Ids { shape: [1, text.len()], values: vec![1; text.len()] };
                common::run(written.path(), &ids, &mask)
            })
            .collect();
        let difference = largest_difference(&together, &alone);
        assert!(difference <= TOLERANCE, "{name}, {lowering:?}, padding: {difference:e}");
    }
}

#[test]
fn bert() {
    check("bert", "bert", 40);
}

/// A prefix, a language model's head that is left out, half precision.
#[test]
fn bert_for_masked_lm() {
    check("bert_masked_lm", "bert", 40);
}

/// Three files, and norms whose weights are called gamma and beta.
#[test]
fn bert_in_shards() {
    check("bert_sharded", "bert", 40);
}

/// Embeddings narrower than the layers.
#[test]
fn electra() {
    check("electra", "electra", 40);
}

/// Padding's id within a text, which the positions pass over.
#[test]
fn roberta() {
    check("roberta", "roberta", 38);
}

/// Its padding's id is not 1.
#[test]
fn xlm_roberta() {
    check("xlm_roberta", "xlm-roberta", 36);
}

#[test]
fn distilbert() {
    check("distilbert", "distilbert", 40);
}

/// 150 tokens: distances from which all share a bucket.
#[test]
fn mpnet() {
    check("mpnet", "mpnet", 168);
}

/// 50 tokens: more than the local window.
#[test]
fn modernbert() {
    check("modernbert", "modernbert", 128);
}

/// Biases everywhere, and a configuration as it was written before it listed layers.
#[test]
fn modernbert_of_an_older_configuration() {
    check("modernbert_older", "modernbert", 128);
}
