//! A tiny BERT with random weights in the sentence-transformers layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use offshoot_export::ImportOptions;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

/// Width of its embeddings.
pub const WIDTH: usize = 32;
const LAYERS: usize = 2;
const INNER: usize = 64;
const POSITIONS: usize = 64;

/// Its words, besides the special tokens.
const WORDS: &str = "the a film movie was is good bad great dull and not very plot actor invoice \
                     due today money free offer win ##s ##ed ##ing ##ly b c d e f g h i j k l m n \
                     o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9 . , ! ?";

/// Writes the published form of the model to `folder`.
///
/// # Panics
/// When the folder cannot be written.
pub fn write(folder: &Path, seed: u64) {
    std::fs::create_dir_all(folder.join("1_Pooling")).expect("create the folder");
    let put = |name: &str, value: serde_json::Value| {
        let text = serde_json::to_string_pretty(&value).expect("write JSON");
        std::fs::write(folder.join(name), text).expect("write a file");
    };
    let vocabulary = vocabulary();
    put(
        "config.json",
        json!({
            "model_type": "bert", "vocab_size": vocabulary.len(), "hidden_size": WIDTH,
            "num_hidden_layers": LAYERS, "num_attention_heads": 4, "intermediate_size": INNER,
            "hidden_act": "gelu", "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
            "layer_norm_eps": 1e-12, "pad_token_id": 0
        }),
    );
    put(
        "modules.json",
        json!([
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling",
             "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize",
             "type": "sentence_transformers.models.Normalize"}
        ]),
    );
    put(
        "1_Pooling/config.json",
        json!({"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": true}),
    );
    put("sentence_bert_config.json", json!({"max_seq_length": POSITIONS, "do_lower_case": false}));
    put("tokenizer.json", tokenizer(&vocabulary));
    put("tokenizer_config.json", json!({"pad_token": "[PAD]", "tokenizer_class": "BertTokenizer"}));
    std::fs::write(folder.join("model.safetensors"), weights(vocabulary.len(), seed))
        .expect("write the weights");
}

/// Writes the model and imports it as `folder/NAME.offshoot`.
///
/// # Panics
/// When that fails.
pub fn bundle(folder: &Path, name: &str, seed: u64) -> PathBuf {
    let source = folder.join(name);
    write(&source, seed);
    let bundle = folder.join(format!("{name}.offshoot"));
    let options = ImportOptions { overwrite: true, ..Default::default() };
    offshoot_export::import(&source, &bundle, &options, &mut |_| {})
        .expect("import the tiny model");
    bundle
}

fn vocabulary() -> Vec<&'static str> {
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .into_iter()
        .chain(WORDS.split_whitespace())
        .collect()
}

fn tokenizer(vocabulary: &[&str]) -> serde_json::Value {
    let ids: BTreeMap<&str, usize> =
        vocabulary.iter().enumerate().map(|(id, &token)| (token, id)).collect();
    let special = |id: usize| {
        json!({"id": id, "content": vocabulary[id], "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": (0..5).map(special).collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}},
                       {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                     {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 1}},
                     {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}
            }
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids}
    })
}

fn weights(vocabulary: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    // SplitMix64 (Steele, Lea & Flood, 2014), as numbers from -0.5 to 0.5.
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |name: String, shape: &[usize], base: f32| {
        let n: usize = shape.iter().product();
        let bytes = (0..n).flat_map(|_| (base + random()).to_le_bytes()).collect();
        tensors.push((name, shape.to_vec(), bytes));
    };
    let norm = |add: &mut dyn FnMut(String, &[usize], f32), name: &str| {
        add(format!("{name}.weight"), &[WIDTH], 1.0);
        add(format!("{name}.bias"), &[WIDTH], 0.0);
    };
    for (name, rows) in [("word", vocabulary), ("position", POSITIONS), ("token_type", 2)] {
        add(format!("embeddings.{name}_embeddings.weight"), &[rows, WIDTH], 0.0);
    }
    norm(&mut add, "embeddings.LayerNorm");
    for layer in 0..LAYERS {
        let at = format!("encoder.layer.{layer}");
        for (name, output, input) in [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ] {
            add(format!("{at}.{name}.weight"), &[output, input], 0.0);
            add(format!("{at}.{name}.bias"), &[output], 0.0);
        }
        norm(&mut add, &format!("{at}.attention.output.LayerNorm"));
        norm(&mut add, &format!("{at}.output.LayerNorm"));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor");
        (name.as_str(), view)
    });
    safetensors::serialize(views, None).expect("serialise the weights")
}
