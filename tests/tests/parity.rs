//! Embeddings against sentence-transformers on 200 varied texts.

use std::path::Path;

use ndarray::{Array2, ArrayView1, Axis};
use offshoot::{EmbedOptions, Truncation};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<u32>,
}

fn reference() -> (Vec<Row>, Array2<f32>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference");
    let rows = std::fs::read(folder.join("minilm.json")).unwrap();
    let rows: Vec<Row> = serde_json::from_slice(&rows).unwrap();
    let npy = std::fs::read(folder.join("minilm.npy")).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    let description = std::str::from_utf8(&npy[10..header]).unwrap();
    assert!(description.contains("'<f4'") && description.contains("(200, 384)"));
    let values = npy[header..].as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    (rows, Array2::from_shape_vec((200, 384), values).unwrap())
}

fn largest_difference(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn token_ids_are_those_of_transformers() {
    let encoder = offshoot_tests::open(offshoot_tests::minilm());
    let (rows, _) = reference();
    for row in &rows {
        let tokens = encoder.tokenize(&row.text, &EmbedOptions::default()).unwrap();
        assert_eq!(tokens.ids, row.ids, "{:?}", row.text);
    }
}

#[test]
fn embeddings_are_those_of_sentence_transformers() {
    let encoder = offshoot_tests::open(offshoot_tests::minilm());
    let (rows, expected) = reference();
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    let together = encoder.embed(&texts).unwrap();
    let cut = rows.iter().filter(|row| row.ids.len() == encoder.max_tokens()).count();
    assert!(together.texts_cut() > 0 && together.texts_cut() <= cut);
    for (i, text) in texts.iter().enumerate() {
        let found = together.vectors().index_axis_move(Axis(0), i);
        let difference = largest_difference(found, expected.row(i));
        assert!(difference <= 2e-6, "{difference:e} for {text:?}");
    }
}

#[test]
fn one_at_a_time_gives_the_same_as_batches_of_any_size() {
    let encoder = offshoot_tests::open(offshoot_tests::minilm());
    let (rows, _) = reference();
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).step_by(3).collect();
    let alone: Vec<_> =
        texts.iter().map(|text| encoder.embed(&[text]).unwrap().into_vectors()).collect();
    for batch_tokens in [1, 300, 5_000] {
        let options = EmbedOptions { batch_tokens, ..Default::default() };
        let together = encoder.embed_with(&texts, &options).unwrap();
        for ((found, alone), text) in together.vectors().rows().into_iter().zip(&alone).zip(&texts)
        {
            let difference = largest_difference(found, alone.row(0));
            assert!(difference <= 1e-5, "{difference:e} for {text:?}");
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_or_refused_as_asked() {
    let encoder = offshoot_tests::open(offshoot_tests::minilm());
    let long = "word ".repeat(300);
    let texts = ["short", &long];
    let cut = encoder.embed(&texts).unwrap();
    // 256 positions, of which two are special tokens.
    assert_eq!(cut.cut(), [0, 300 - 254]);
    let options = EmbedOptions { truncation: Truncation::Refuse, ..Default::default() };
    let error = encoder.embed_with(&texts, &options).unwrap_err().to_string();
    assert!(error.contains("text 1 has 302 tokens and the encoder reads 256"), "{error}");
}

#[test]
fn token_ids_embed_like_their_text() {
    let encoder = offshoot_tests::open(offshoot_tests::minilm());
    let (rows, expected) = reference();
    let ids: Vec<Vec<u32>> = rows.iter().take(40).map(|row| row.ids.clone()).collect();
    let found = encoder.embed_tokens(&ids, &EmbedOptions::default()).unwrap();
    for (found, expected) in found.vectors().rows().into_iter().zip(expected.rows()) {
        assert!(largest_difference(found, expected) <= 2e-6);
    }
    for bad in [vec![], vec![101, 4_000_000]] {
        assert!(encoder.embed_tokens(&[bad], &EmbedOptions::default()).is_err());
    }
}
