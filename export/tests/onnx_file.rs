//! Ready-made ONNX files: encoders, files written back as they were, hostile ones.

mod published;

use std::path::{Path, PathBuf};

use offshoot::bundle::Pooling;
use offshoot_export::graph::external::{Layout, WEIGHTS_FILE};
use offshoot_export::graph::read::read;
use offshoot_export::{ImportOptions, import};
use onnx_protobuf::tensor_proto::DataLocation;
use onnx_protobuf::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};
use protobuf::Message;
use published::{Copy, Expected, open, reference};

#[test]
fn exported_encoders_give_the_embeddings_of_the_folder_they_came_from() {
    for (name, pooling, normalized, max_tokens) in [
        ("onnx_inline", Pooling::Mean, true, 20),
        ("onnx_external", Pooling::Mean, true, 20),
        ("onnx_pooled", Pooling::InGraph, false, 20),
        ("onnx_old", Pooling::Concatenated, true, 20),
    ] {
        let copy = Copy::of(name);
        let manifest = copy.import().unwrap().manifest;
        assert_eq!(manifest.pooling, pooling);
        assert_eq!(manifest.normalized, normalized);
        assert_eq!(manifest.text.as_ref().unwrap().max_tokens, max_tokens);
        assert_eq!(manifest.provenance.architecture, "onnx");
        assert!(manifest.provenance.weights_sha256.is_some());
        Expected::read(name).check(&copy.open());
    }
}

#[test]
fn an_onnx_file_is_imported_by_its_own_name() {
    let copy = Copy::of("onnx_inline");
    let file = copy.path("onnx/model.onnx");
    let imported = import(&file, &copy.bundle(), &ImportOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(imported.manifest.name, "model");
    Expected::read("onnx_inline").check(&copy.open());
}

#[test]
fn only_what_the_output_needs_is_kept() {
    let copy = Copy::of("onnx_pooled");
    copy.import().unwrap();
    let encoder = open(&copy.bundle());
    let graph = encoder.bundle().read("model.onnx").unwrap();
    let graph = ModelProto::parse_from_bytes(&graph).unwrap().graph.unwrap();
    let names = |values: &[onnx_protobuf::ValueInfoProto]| -> Vec<String> {
        values.iter().map(|value| value.name.clone()).collect()
    };
    assert_eq!(names(&graph.input), ["input_ids", "attention_mask"]);
    assert_eq!(names(&graph.output), ["embedding"]);
    assert!(!graph.node.iter().any(|node| node.output.contains(&"unused".to_owned())));
}

/// A model and, for each external tensor, its bytes put inside.
fn inlined(model: &Path) -> ModelProto {
    let mut proto = ModelProto::parse_from_bytes(&std::fs::read(model).unwrap()).unwrap();
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        if tensor.data_location.enum_value() == Ok(DataLocation::EXTERNAL) {
            let entry = |key: &str| {
                tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.clone())
            };
            let file = model.with_file_name(entry("location").unwrap());
            let offset: usize = entry("offset").map_or(0, |v| v.parse().unwrap());
            let length: usize = entry("length").unwrap().parse().unwrap();
            tensor.raw_data = std::fs::read(file).unwrap()[offset..][..length].to_vec();
            tensor.external_data.clear();
            tensor.data_location = DataLocation::DEFAULT.into();
        }
        raw(tensor);
    }
    proto
}

/// Puts elements that stand in fields of their own type into `raw_data`; both
/// forms mean the same.
fn raw(tensor: &mut TensorProto) {
    if tensor.raw_data.is_empty() {
        tensor.raw_data = match tensor.data_type {
            1 => tensor.float_data.drain(..).flat_map(f32::to_le_bytes).collect(),
            7 => tensor.int64_data.drain(..).flat_map(i64::to_le_bytes).collect(),
            9 => tensor.int32_data.drain(..).map(|v| v as u8).collect(),
            16 => tensor.int32_data.drain(..).flat_map(|v| (v as u16).to_le_bytes()).collect(),
            _ => return,
        };
    }
    // The proto distinguishes a field that was set to its default from one that was not.
    tensor.data_location = Default::default();
}

fn written_back(model: &Path, folder: &Path) -> PathBuf {
    let graph = read(model).unwrap().graph;
    let layout = Layout::new(&graph).unwrap();
    let mut weights = Vec::new();
    layout.write(&graph, &mut weights, &mut |_| {}).unwrap();
    std::fs::write(folder.join(WEIGHTS_FILE), weights).unwrap();
    let path = folder.join("again.onnx");
    std::fs::write(&path, graph.to_model(&layout).unwrap().write_to_bytes().unwrap()).unwrap();
    path
}

fn assert_written_back_unchanged(model: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let again = written_back(model, folder.path());
    let (before, after) = (inlined(model), inlined(&again));
    assert!(before == after, "{}:\n{before:?}\n\n{after:?}", model.display());
}

#[test]
fn files_are_written_back_unchanged() {
    for name in [
        "odd.onnx",
        "onnx_pooled/model.onnx",
        "onnx_inline/onnx/model.onnx",
        "onnx_external/model.onnx",
    ] {
        assert_written_back_unchanged(&reference(name));
    }
}

/// A tensor that is large enough to be left in the file, between others.
#[test]
fn large_tensors_pass_from_file_to_file() {
    let mut model = graph_of(|graph| {
        let mut large = floats("large", &[200, 100], 0.0);
        large.raw_data = (0..80_000u32).map(|i| (i * 7) as u8).collect();
        large.doc_string = "a note".into();
        graph.initializer.extend([floats("before", &[3], 1.0), large, floats("after", &[2], 2.0)]);
    });
    model.doc_string = "kept".into();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.write_to_bytes().unwrap()).unwrap();
    assert_written_back_unchanged(&path);
}

/// No cut and no changed byte of a file makes the reader panic; a cut says so.
#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let whole = std::fs::read(reference("odd.onnx")).unwrap();
    for at in 0..whole.len() {
        std::fs::write(&path, &whole[..at]).unwrap();
        let cut = read(&path).map(drop);
        // The file may end between two fields of the model that follow the graph.
        assert!(cut.is_err() || at > whole.len() / 2, "cut at {at}");
        let mut damaged = whole.clone();
        damaged[at] ^= 0x81;
        std::fs::write(&path, damaged).unwrap();
        let _ = read(&path).map(drop);
    }
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(message.contains("model.onnx: it is cut short"), "{message}");
}

fn floats(name: &str, dims: &[i64], value: f32) -> TensorProto {
    let count: i64 = dims.iter().product();
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        raw_data: value.to_le_bytes().repeat(usize::try_from(count).unwrap()),
        ..Default::default()
    }
}

/// The graph of `onnx_pooled`, changed.
fn graph_of(change: impl FnOnce(&mut GraphProto)) -> ModelProto {
    let bytes = std::fs::read(reference("onnx_pooled/model.onnx")).unwrap();
    let mut model = ModelProto::parse_from_bytes(&bytes).unwrap();
    change(model.graph.as_mut().unwrap());
    model
}

/// The message with which a changed `onnx_pooled` is refused.
fn refusal(change: impl FnOnce(&mut GraphProto)) -> String {
    let copy = Copy::of("onnx_pooled");
    let model = graph_of(change);
    std::fs::write(copy.path("model.onnx"), model.write_to_bytes().unwrap()).unwrap();
    copy.refusal()
}

fn refused(says: &str, change: impl FnOnce(&mut GraphProto)) {
    let message = refusal(change);
    assert!(message.contains(says), "`{message}` does not say `{says}`");
    assert!(message.contains("model.onnx"), "{message}");
}

#[test]
fn hostile_graphs_are_refused() {
    refused("reads `embedding`, which only", |g| g.node[0].input[0] = "embedding".into());
    refused("reads `nothing`, which nothing makes", |g| g.node[3].input[0] = "nothing".into());
    refused("the name `w` of an output of", |g| g.node[1].output[0] = "w".into());
    refused("`words`", |g| g.input.push(g.input[3].clone()));
    refused("two initializers have the name `words`", |g| {
        g.initializer.push(g.initializer[0].clone());
    });
    refused("its input `input_ids` is an initializer too", |g| {
        let mut ids = floats("input_ids", &[1, 1], 0.0);
        ids.data_type = 6;
        g.initializer.push(ids);
    });
    refused("two nodes have the name `same`", |g| {
        g.node[0].name = "same".into();
        g.node[1].name = "same".into();
    });
    refused("are too large", |g| g.initializer[0].dims = vec![i64::MAX, i64::MAX]);
    refused("has 2176 bytes", |g| g.initializer[0].dims = vec![1 << 40, 8]);
    refused("dimensions [-1, 8]", |g| g.initializer[0].dims = vec![-1, 8]);
    refused("no element type", |g| g.initializer[0].data_type = 0);
    refused("no output", |g| g.output.clear());
    refused("is made by no operator", |g| g.output[0].name = "gone".into());
    refused("names no operator", |g| g.node[0].op_type.clear());
}

#[test]
fn graphs_that_are_no_encoders_say_what_one_takes() {
    refused("no input `attention_mask`", |g| {
        g.input.remove(2);
        g.node[4].input[0] = "input_ids".into();
    });
    refused("it has the input `pixel_values`", |g| {
        let mut extra = g.input[0].clone();
        extra.name = "pixel_values".into();
        g.input.push(extra);
    });
    refused("none of its outputs", |g| {
        g.output.remove(1);
        g.output[0].name = "m".into();
        g.output[0].type_ = None.into();
    });
    let fixed = |size: i64, at: usize| {
        move |g: &mut GraphProto| {
            let kind = g.input[0].type_.as_mut().unwrap().mut_tensor_type();
            kind.shape.as_mut().unwrap().dim[at].set_dim_value(size);
        }
    };
    refused("for exactly 1 texts", fixed(1, 0));
    refused("for exactly 128 tokens", fixed(128, 1));
    refused("`input_ids` is float32", |g| {
        g.input[0].type_.as_mut().unwrap().mut_tensor_type().elem_type = 1;
    });
    refused("sentence_embedding` is float32 [N, 8, 8]", |g| {
        let kind = g.output[1].type_.as_mut().unwrap().mut_tensor_type();
        let dim = kind.shape.as_mut().unwrap();
        dim.dim.push(dim.dim[1].clone());
    });
    let copy = Copy::of("onnx_pooled");
    copy.remove("tokenizer.json");
    assert!(copy.refusal().contains("tokenizer.json: the file is missing"));
    let copy = Copy::of("onnx_pooled");
    copy.edit("tokenizer_config.json", "20", "1e30");
    assert!(copy.refusal().contains("state the most tokens"));
    let copy = Copy::of("onnx_inline");
    copy.edit("tokenizer.json", r#""dog": "#, r#""dog": 9"#);
    assert!(copy.refusal().contains("has 68 rows"));
}

/// One tensor of `onnx_external`, described otherwise.
fn external(key: &str, value: Option<&str>) -> String {
    let copy = Copy::of("onnx_external");
    let path = copy.path("model.onnx");
    let mut model = ModelProto::parse_from_bytes(&std::fs::read(&path).unwrap()).unwrap();
    let tensor = model
        .graph
        .as_mut()
        .unwrap()
        .initializer
        .iter_mut()
        .find(|tensor| !tensor.external_data.is_empty())
        .unwrap();
    tensor.external_data.retain(|entry| entry.key != key);
    if let Some(value) = value {
        tensor.external_data.push(StringStringEntryProto {
            key: key.into(),
            value: value.into(),
            ..Default::default()
        });
    }
    std::fs::write(&path, model.write_to_bytes().unwrap()).unwrap();
    let message = copy.refusal();
    assert!(message.contains("model.onnx: tensor `"), "{message}");
    message
}

#[test]
fn external_data_stays_in_the_folder_and_in_its_file() {
    for escape in ["/etc/passwd", "../model.onnx_data", "a/../../x", "..\\x", ""] {
        let message = external("location", Some(escape));
        assert!(
            message.contains("inside the model's folder") || message.contains("names no file"),
            "{message}"
        );
    }
    assert!(external("location", None).contains("names no file"));
    assert!(external("location", Some("gone.bin")).contains("gone.bin, which cannot be opened"));
    assert!(external("location", Some("1_Pooling")).contains("is not a file"));
    assert!(external("offset", Some("13900")).contains("the file has 13984"));
    assert!(external("offset", Some("18446744073709551615")).contains("lies at byte 184467"));
    assert!(external("offset", Some("minus one")).contains("not a number"));
    assert!(external("length", Some("4")).contains("has 4 bytes in"));
    assert!(external("length", Some("18446744073709551615")).contains("the file has"));
}

/// The tests of ONNX itself: the environment variable names the folder
/// `onnx/backend/test/data` of the `onnx` package for Python.
#[test]
#[ignore = "needs ONNX_TEST_DATA"]
fn the_tests_of_onnx_are_written_back_unchanged() {
    let folder = std::env::var_os("ONNX_TEST_DATA").expect("ONNX_TEST_DATA");
    let mut models = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "onnx") {
                models.push(path);
            }
        }
    }
    assert!(models.len() > 100, "{} models", models.len());
    for model in models {
        assert_written_back_unchanged(&model);
    }
}
