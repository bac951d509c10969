//! A tiny encoder, and the program run on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use serde_json::{Value, json};

/// Words that the tiny encoder knows, in three groups.
pub(crate) const WORDS: [[&str; 4]; 3] = [
    ["fresh", "moving", "bright", "lively"],
    ["stale", "dull", "grey", "lifeless"],
    ["once", "upon", "a", "time"],
];

const WIDTH: usize = 16;
const INNER: usize = 32;
const POSITIONS: usize = 24;

/// A folder of its own for one test, with the tiny encoder's bundle at hand.
pub(crate) struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file is written");
        path
    }

    /// Names of everything in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder is read");
        let mut names: Vec<_> = entries
            .map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    /// The program in this folder.
    pub(crate) fn offshoot(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offshoot"));
        for (key, value) in environment() {
            command.env(key, value);
        }
        command.current_dir(self.folder.path()).args(args);
        command
    }

    /// The same as a process to be watched.
    pub(crate) fn process(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_offshoot"));
        for (key, value) in environment() {
            command.env(key, value);
        }
        command.current_dir(self.folder.path()).args(args);
        command
    }

    /// Labelled texts of three classes, `each` of every class.
    pub(crate) fn examples(&self, name: &str, each: usize) -> PathBuf {
        let mut csv = String::from("text,label\n");
        for i in 0..each {
            for (words, label) in WORDS.iter().zip(["good", "bad", "story"]) {
                csv.push_str(&format!("{} {},{label}\n", words[i % 4], words[(i + 1) % 4]));
            }
        }
        self.write(name, csv)
    }
}

/// Environment of every run: the library is found wherever it lies, the cache is the tests' own.
pub(crate) fn environment() -> [(&'static str, PathBuf); 2] {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    [("ORT_DYLIB_PATH", library()), ("OFFSHOOT_CACHE", cache)]
}

/// ONNX Runtime, obtained as the quickstart does where the environment names none.
fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY
        .get_or_init(|| match std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
            Some(path) => path.into(),
            None => offshoot_models::packages::onnx_runtime(&mut |_| {}).expect("ONNX Runtime"),
        })
        .clone()
}

/// The tiny encoder's bundle, the same for all tests. They must not change it.
pub(crate) fn bundle() -> &'static str {
    static BUNDLE: OnceLock<String> = OnceLock::new();
    BUNDLE.get_or_init(|| import(1))
}

/// A bundle of another encoder.
pub(crate) fn other_bundle() -> &'static str {
    static BUNDLE: OnceLock<String> = OnceLock::new();
    BUNDLE.get_or_init(|| import(2))
}

fn import(seed: u64) -> String {
    let place = Workplace::new();
    let encoder = place.path("encoder");
    write_encoder(&encoder, seed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let bundle = folder.join(format!("tiny-{}-{seed}.offshoot", std::process::id()));
    let bundle = bundle.to_str().expect("UTF-8").to_owned();
    place.offshoot(&["import", "encoder", "-o", &bundle, "--force"]).assert().success();
    bundle
}

/// Writes a BERT of one layer with random weights, in the layout of sentence-transformers.
pub(crate) fn write_encoder(folder: &Path, seed: u64) {
    fs::create_dir_all(folder.join("1_Pooling")).expect("a folder");
    let save = |name: &str, value: Value| {
        fs::write(folder.join(name), value.to_string()).expect("a file is written");
    };
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let words = special.iter().chain(WORDS.iter().flatten());
    let vocab: BTreeMap<&str, usize> = words.enumerate().map(|(i, word)| (*word, i)).collect();
    save(
        "config.json",
        json!({
            "model_type": "bert", "hidden_size": WIDTH, "intermediate_size": INNER,
            "num_attention_heads": 2, "num_hidden_layers": 1, "hidden_act": "gelu",
            "layer_norm_eps": 1e-12, "max_position_embeddings": POSITIONS,
            "type_vocab_size": 2, "vocab_size": vocab.len(), "pad_token_id": 0,
        }),
    );
    let module = |kind: &str, idx: usize, path: &str| {
        json!({"idx": idx, "name": idx.to_string(), "path": path,
               "type": format!("sentence_transformers.models.{kind}")})
    };
    save(
        "modules.json",
        json!([
            module("Transformer", 0, ""),
            module("Pooling", 1, "1_Pooling"),
            module("Normalize", 2, "2_Normalize")
        ]),
    );
    save(
        "1_Pooling/config.json",
        json!({"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": true}),
    );
    save("sentence_bert_config.json", json!({"max_seq_length": POSITIONS, "do_lower_case": false}));
    save("tokenizer_config.json", json!({"pad_token": "[PAD]"}));
    save(
        "config_sentence_transformers.json",
        json!({"prompts": {"query": "once upon "}, "default_prompt_name": null}),
    );
    let added: Vec<Value> = special
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "special": true, "single_word": false,
                   "lstrip": false, "rstrip": false, "normalized": false})
        })
        .collect();
    let token = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let ids = |name: &str| json!({"id": name, "ids": [vocab[name]], "tokens": [name]});
    save(
        "tokenizer.json",
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [token("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, token("[SEP]")],
                "pair": [token("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, token("[SEP]"),
                         {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"[CLS]": ids("[CLS]"), "[SEP]": ids("[SEP]")},
            },
            "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
        }),
    );
    fs::write(folder.join("model.safetensors"), weights(vocab.len(), seed)).expect("weights");
}

/// A safetensors file: length of the header, the header, the tensors.
fn weights(vocabulary: usize, seed: u64) -> Vec<u8> {
    let layer = "encoder.layer.0";
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![vocabulary, WIDTH]),
        ("embeddings.position_embeddings.weight".into(), vec![POSITIONS, WIDTH]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, WIDTH]),
    ];
    for (name, out, inputs) in [
        ("attention.self.query", WIDTH, WIDTH),
        ("attention.self.key", WIDTH, WIDTH),
        ("attention.self.value", WIDTH, WIDTH),
        ("attention.output.dense", WIDTH, WIDTH),
        ("intermediate.dense", INNER, WIDTH),
        ("output.dense", WIDTH, INNER),
    ] {
        shapes.push((format!("{layer}.{name}.weight"), vec![out, inputs]));
        shapes.push((format!("{layer}.{name}.bias"), vec![out]));
    }
    let norms = ["attention.output.LayerNorm", "output.LayerNorm"];
    let norms = norms.iter().map(|name| format!("{layer}.{name}"));
    for name in norms.chain(["embeddings.LayerNorm".into()]) {
        shapes.push((format!("{name}.weight"), vec![WIDTH]));
        shapes.push((format!("{name}.bias"), vec![WIDTH]));
    }
    let mut random = offshoot_models::random::SplitMix64::new(seed);
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in shapes {
        let start = data.len();
        for _ in 0..shape.iter().product() {
            let uniform = (random.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
            let value = if name.ends_with("LayerNorm.weight") { 1.0 } else { uniform - 0.5 };
            data.extend(value.to_le_bytes());
        }
        let offsets = [start, data.len()];
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}));
    }
    let header = Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    bytes.extend(data);
    bytes
}

/// Many texts, a line each.
pub(crate) fn lines(count: usize) -> String {
    let words: Vec<&str> = WORDS.iter().flatten().copied().collect();
    let mut text = String::new();
    for i in 0..count {
        for k in 0..1 + i % 7 {
            text.push_str(words[(i * 5 + k * k + i / 12) % 12]);
            text.push(' ');
        }
        text.push('\n');
    }
    text
}

/// What the program said on standard error.
pub(crate) fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

/// What it wrote to standard output.
pub(crate) fn stdout(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).expect("UTF-8")
}

/// Rows and columns of a .npy file, and its 32-bit floats.
pub(crate) fn read_npy(path: &Path) -> (usize, usize, Vec<f32>) {
    let bytes = fs::read(path).expect("the file is read");
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..end]).expect("ASCII");
    assert!(header.contains("'<f4'") && header.contains("False"), "{header}");
    let shape = header.split(['(', ')']).nth(1).expect("a shape");
    let sizes: Vec<usize> = shape.split(',').filter_map(|size| size.trim().parse().ok()).collect();
    let values: Vec<f32> = bytes[end..]
        .chunks_exact(4)
        .map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]]))
        .collect();
    assert_eq!(values.len(), sizes[0] * sizes[1]);
    (sizes[0], sizes[1], values)
}

/// A bitmap file of 24 bits a pixel, without its rows: those come from below, blue first, each
/// filled up to a multiple of 4 bytes.
pub(crate) fn bitmap_header(height: usize, width: usize) -> Vec<u8> {
    let row = (3 * width).next_multiple_of(4);
    let mut file = b"BM".to_vec();
    file.extend((54 + (row * height) as u32).to_le_bytes());
    file.extend([0; 4]);
    file.extend(54u32.to_le_bytes());
    file.extend(40u32.to_le_bytes());
    file.extend((width as i32).to_le_bytes());
    file.extend((height as i32).to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    file
}
