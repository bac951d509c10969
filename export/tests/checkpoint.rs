//! Damaged checkpoints and configurations that do not fit are refused with the
//! file, the tensor or key, and what would be accepted.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use offshoot_export::architectures::{self, TokenEncoder};
use offshoot_export::checkpoint::{Checkpoint, INDEX_FILE, SINGLE_FILE};
use offshoot_export::graph::Lowering;
use offshoot_export::{Error, Result};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// A copy of one of the reference encoders, to be damaged.
struct Folder(TempDir);

impl Folder {
    fn of(name: &str) -> Self {
        let reference: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests", "reference", "architectures", name]
                .iter()
                .collect();
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(reference).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path().join(file)).unwrap()
    }

    fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(file), bytes).unwrap();
    }

    /// Sets a key of `config.json`.
    fn set(&self, key: &str, value: Json) {
        let mut config: Json = serde_json::from_slice(&self.bytes("config.json")).unwrap();
        config[key] = value;
        self.write("config.json", config.to_string());
    }

    /// Rewrites `model.safetensors` with its tensors as `change` leaves them.
    fn change(&self, change: impl FnOnce(&mut Tensors)) {
        let bytes = self.bytes(SINGLE_FILE);
        let stored = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: Tensors = stored
            .iter()
            .map(|(name, view)| {
                (name.to_owned(), (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
            })
            .collect();
        change(&mut tensors);
        let views: BTreeMap<&str, TensorView<'_>> = tensors
            .iter()
            .map(|(name, (dtype, shape, data))| {
                (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
            })
            .collect();
        serialize_to_file(views, None, &self.path().join(SINGLE_FILE)).unwrap();
    }

    fn build(&self) -> Result<TokenEncoder> {
        let path = self.path().join("config.json");
        let config = serde_json::from_slice(&self.bytes("config.json")).unwrap();
        architectures::build(&path, &config, &Checkpoint::open(self.path())?, Lowering::Standard)
    }

    fn refusal(&self) -> Error {
        self.build().expect_err("it should be refused")
    }
}

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// The error's message says all of `parts`.
#[track_caller]
fn says(error: &Error, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn weights_that_are_not_finite_are_refused_when_written() {
    const NAME: &str = "encoder.layer.1.output.dense.weight";
    for value in [f32::NAN, f32::INFINITY] {
        let folder = Folder::of("bert");
        folder.change(|tensors| {
            let data = &mut tensors.get_mut(NAME).unwrap().2;
            data[4 * 70..][..4].copy_from_slice(&value.to_le_bytes());
        });
        let encoder = folder.build().unwrap();
        let error = common::write(&encoder.graph, tempfile::tempdir().unwrap().path()).unwrap_err();
        assert!(matches!(&error, Error::Tensor { tensor, .. } if tensor == NAME), "{error}");
        says(&error, &[SINGLE_FILE, &value.to_string(), "element 70"]);
    }
}

#[test]
fn weights_of_another_shape_are_refused_with_both_shapes() {
    let folder = Folder::of("bert");
    folder.set("vocab_size", json!(98));
    let error = folder.refusal();
    assert!(matches!(error, Error::Tensor { .. }));
    says(&error, &["`embeddings.word_embeddings.weight`", "[97, 32]", "[98, 32]"]);
}

#[test]
fn missing_tensors_are_named() {
    const NAME: &str = "encoder.layer.0.attention.self.key.bias";
    let folder = Folder::of("bert");
    folder.change(|tensors| {
        tensors.remove(NAME).unwrap();
    });
    says(&folder.refusal(), &[SINGLE_FILE, NAME, "is missing"]);

    let folder = Folder::of("bert");
    folder.set("num_hidden_layers", json!(3));
    says(&folder.refusal(), &["`encoder.layer.2.attention.self.query.weight`", "is missing"]);
}

#[test]
fn weights_that_are_whole_numbers_are_refused() {
    const NAME: &str = "encoder.layer.0.output.dense.bias";
    let folder = Folder::of("bert");
    folder.change(|tensors| tensors.get_mut(NAME).unwrap().0 = Dtype::I32);
    says(&folder.refusal(), &[NAME, "I32", "BF16"]);
}

#[test]
fn shards_must_be_there_and_hold_what_the_index_says() {
    const SECOND: &str = "model-00002-of-00003.safetensors";
    let folder = Folder::of("bert_sharded");
    std::fs::remove_file(folder.path().join(SECOND)).unwrap();
    let error = folder.refusal();
    assert!(matches!(error, Error::Checkpoint { .. }));
    says(&error, &[SECOND, "missing", INDEX_FILE]);

    let folder = Folder::of("bert_sharded");
    folder.write(SECOND, folder.bytes("model-00001-of-00003.safetensors"));
    let error = folder.refusal();
    assert!(matches!(error, Error::Tensor { .. }));
    says(&error, &[SECOND, "is missing", INDEX_FILE]);

    let folder = Folder::of("bert_sharded");
    folder.write(INDEX_FILE, "{\"weight_map\": 3}");
    assert!(matches!(folder.refusal(), Error::Json { .. }));
}

#[test]
fn shards_outside_the_folder_are_refused() {
    for name in [
        "../model.safetensors",
        "/model.safetensors",
        "a/../model.safetensors",
        "a\\model.safetensors",
        "C:model.safetensors",
        "..",
        "",
        "config.json",
    ] {
        let folder = Folder::of("bert_sharded");
        folder.write(INDEX_FILE, json!({ "weight_map": { "w": name } }).to_string());
        let error = folder.refusal();
        assert!(matches!(&error, Error::Key { key, .. } if key == "weight_map"), "{name}: {error}");
        says(&error, &[INDEX_FILE, "same folder"]);
    }
}

#[test]
fn a_folder_without_weights_says_what_is_read() {
    let folder = Folder::of("bert");
    std::fs::remove_file(folder.path().join(SINGLE_FILE)).unwrap();
    let error = folder.refusal();
    assert!(matches!(error, Error::Unsupported { .. }));
    says(&error, &[SINGLE_FILE, INDEX_FILE, "pytorch_model.bin"]);
}

#[test]
fn truncated_and_lengthened_files_are_refused() {
    let folder = Folder::of("bert");
    let whole = folder.bytes(SINGLE_FILE);
    let cuts = (0..16).chain((16..whole.len()).step_by(997)).chain([whole.len() - 1]);
    for length in cuts {
        folder.write(SINGLE_FILE, &whole[..length]);
        let error = folder.refusal();
        assert!(matches!(error, Error::Checkpoint { .. }), "{length}: {error}");
    }
    folder.write(SINGLE_FILE, [&whole[..], &[0]].concat());
    says(&folder.refusal(), &[SINGLE_FILE, "damaged"]);
}

#[test]
fn hostile_headers_are_refused() {
    let folder = Folder::of("bert");
    let whole = folder.bytes(SINGLE_FILE);
    for length in [0, 1, 100_000_001, 1 << 40, u64::MAX - 8, u64::MAX - 7, u64::MAX] {
        folder.write(SINGLE_FILE, [&length.to_le_bytes(), &whole[8..]].concat());
        let error = folder.refusal();
        assert!(matches!(error, Error::Checkpoint { .. }), "{length}: {error}");
    }
    for tensor in [
        r#"{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}"#,
        r#"{"dtype":"F32","shape":[4],"data_offsets":[16,0]}"#,
        r#"{"dtype":"F32","shape":[4],"data_offsets":[8,24]}"#,
        r#"{"dtype":"F32","shape":[5],"data_offsets":[0,16]}"#,
        r#"{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}"#,
        r#"{"dtype":"F99","shape":[4],"data_offsets":[0,16]}"#,
    ] {
        let header = format!("{{\"w\":{tensor}}}");
        let length = (header.len() as u64).to_le_bytes();
        folder.write(SINGLE_FILE, [&length, header.as_bytes(), &[0; 16]].concat());
        let error = folder.refusal();
        assert!(matches!(error, Error::Checkpoint { .. }), "{tensor}: {error}");
    }
}

#[test]
fn unknown_architectures_are_refused_with_those_that_are_known() {
    let folder = Folder::of("bert");
    folder.set("model_type", json!("gpt2"));
    let error = folder.refusal();
    assert!(matches!(error, Error::Unsupported { .. }));
    says(&error, &["`gpt2`", "bert", "modernbert", "xlm-roberta"]);
    folder.set("model_type", Json::Null);
    says(&folder.refusal(), &["`model_type`", "missing", "mpnet"]);
}

/// The padding's id is 1 where the configuration does not say, also in the check.
#[test]
fn positions_that_the_padding_leaves_none_of_are_refused() {
    let folder = Folder::of("roberta");
    folder.set("pad_token_id", Json::Null);
    folder.set("max_position_embeddings", json!(1));
    says(&folder.refusal(), &["`pad_token_id`", "no position"]);
}

/// A published model of two encoders, as those of questions and answers are.
#[test]
fn several_encoders_in_a_checkpoint_are_refused() {
    let folder = Folder::of("bert");
    folder.change(|tensors| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .flat_map(|(name, tensor)| {
                let named = |side| (format!("{side}.bert.{name}"), tensor.clone());
                [named("question"), named("answer")]
            })
            .collect();
    });
    let error = folder.refusal();
    assert!(matches!(error, Error::Tensor { .. }));
    says(&error, &[SINGLE_FILE, "`question.bert`", "`answer.bert`"]);
}

/// One encoder under a prefix that is not known is found.
#[test]
fn any_prefix_is_found() {
    let folder = Folder::of("bert");
    folder.change(|tensors| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .map(|(name, tensor)| (format!("towers.text.{name}"), tensor))
            .collect();
    });
    assert_eq!(folder.build().unwrap().width, 32);
}

#[test]
fn an_index_of_unlikely_size_is_refused() {
    let folder = Folder::of("bert_sharded");
    let file = std::fs::File::create(folder.path().join(INDEX_FILE)).unwrap();
    file.set_len(100_000_001).unwrap();
    let error = folder.refusal();
    assert!(matches!(error, Error::Checkpoint { .. }));
    says(&error, &[INDEX_FILE, "longer"]);
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    for (name, key, value, wanted) in [
        ("bert", "hidden_size", json!("32"), "\"32\""),
        ("bert", "hidden_size", Json::Null, "missing"),
        ("bert", "hidden_size", json!(0), "from 1"),
        ("bert", "num_hidden_layers", json!(2.5), "2.5"),
        ("bert", "num_hidden_layers", json!(1u64 << 40), "2147483647"),
        ("bert", "num_attention_heads", json!(5), "does not divide the width 32"),
        ("bert", "layer_norm_eps", json!(-1.0), "positive"),
        ("bert", "layer_norm_eps", json!(1e-300), "positive"),
        ("bert", "hidden_act", json!("maxout"), "gelu_new"),
        ("bert", "hidden_act", json!(3), "text"),
        ("bert", "position_embedding_type", json!("relative_key"), "absolute"),
        ("bert", "is_decoder", json!(true), "false"),
        ("roberta", "pad_token_id", json!(39), "max_position_embeddings"),
        ("roberta", "pad_token_id", json!(-1), "-1"),
        ("distilbert", "n_heads", json!(64), "does not divide"),
        ("mpnet", "relative_attention_num_buckets", json!(30), "only 32"),
        ("mpnet", "pad_token_id", json!(0), "only 1"),
        ("modernbert", "layer_types", json!(["full_attention"]), "num_hidden_layers"),
        ("modernbert", "layer_types", json!("full_attention"), "list"),
        ("modernbert", "layer_types", json!([1, 2, 3, 4]), "sliding_attention"),
        ("modernbert", "num_attention_heads", json!(32), "even"),
        ("modernbert", "num_hidden_layers", json!(2_000_000_000), "at most"),
        ("modernbert", "rope_parameters", json!(3), "object"),
        ("modernbert", "rope_scaling", json!({"type": "yarn"}), "yarn"),
        ("modernbert", "norm_bias", json!("no"), "true or false"),
    ] {
        let folder = Folder::of(name);
        folder.set(key, value.clone());
        let error = folder.refusal();
        assert!(
            matches!(&error, Error::Key { key: found, .. } if found == key),
            "{key} {value}: {error}"
        );
        says(&error, &["config.json", wanted]);
    }

    let folder = Folder::of("modernbert");
    folder.set("rope_parameters", json!({ "full_attention": [] }));
    says(&folder.refusal(), &["config.json", "`full_attention`", "object"]);
}
