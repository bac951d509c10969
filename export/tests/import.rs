//! Published folders against sentence-transformers, and what is refused.

mod published;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offshoot::bundle::{Pooling, Similarity};
use offshoot::{EmbedOptions, Prompt};
use offshoot_export::graph::Lowering;
use offshoot_export::{Error, ImportOptions, Progress, import};
use published::{Copy, Expected, close, lowered};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

#[test]
fn every_chain_of_modules_gives_the_library_s_embeddings() {
    for (name, pooling, width, normalized, max_tokens) in [
        ("mean", Pooling::Mean, 16, true, 20),
        ("cls_dense", Pooling::Cls, 6, false, 20),
        ("joined", Pooling::Concatenated, 10, true, 20),
        ("last", Pooling::LastToken, 16, false, 20),
        ("plain", Pooling::Mean, 16, false, 24),
    ] {
        for lowering in [Lowering::Standard, Lowering::OnnxRuntime] {
            let copy = Copy::of(name);
            let imported = copy.import_with(&lowered(lowering)).unwrap();
            let manifest = &imported.manifest;
            assert_eq!(manifest.pooling, pooling, "{name}");
            assert_eq!(manifest.embedding_size, width, "{name}");
            assert_eq!(manifest.normalized, normalized, "{name}");
            assert_eq!(manifest.text.as_ref().unwrap().max_tokens, max_tokens, "{name}");
            assert_eq!(manifest.provenance.architecture, "bert");
            Expected::read(name).check(&copy.open());
        }
    }
}

#[test]
fn prompts_stand_before_texts() {
    let copy = Copy::of("joined");
    let manifest = copy.import().unwrap().manifest;
    let text = manifest.text.unwrap();
    assert_eq!(text.prompts["query"], "the dog: ");
    assert_eq!(text.default_prompt.as_deref(), Some("query"));
    assert_eq!(manifest.similarity, Similarity::Cosine);
    let (expected, encoder) = (Expected::read("joined"), copy.open());
    for (name, rows) in &expected.prompted {
        let options = EmbedOptions { prompt: Prompt::Named(name.clone()), ..Default::default() };
        close(encoder.embed_with(&expected.texts, &options).unwrap().vectors(), rows);
    }
    close(encoder.embed(&expected.texts).unwrap().vectors(), &expected.prompted["query"]);
}

#[test]
fn a_folder_with_vocab_txt_alone_gives_the_same_tokens() {
    let copy = Copy::of("plain");
    let tokenizer: serde_json::Value =
        serde_json::from_slice(&std::fs::read(copy.path("tokenizer.json")).unwrap()).unwrap();
    let mut tokens: Vec<(&str, u64)> = tokenizer["model"]["vocab"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(token, id)| (token.as_str(), id.as_u64().unwrap()))
        .collect();
    tokens.sort_by_key(|(_, id)| *id);
    let lines: String = tokens.iter().map(|(token, _)| format!("{token}\n")).collect();
    std::fs::write(copy.path("vocab.txt"), lines).unwrap();
    copy.remove("tokenizer.json");
    let imported = copy.import().unwrap();
    assert!(imported.notes.iter().any(|note| note.contains("vocab.txt")), "{:?}", imported.notes);
    Expected::read("plain").check(&copy.open());
}

#[test]
fn what_was_assumed_is_said() {
    let notes = Copy::of("plain").import().unwrap().notes;
    assert!(matches!(&notes[..], [note] if note.contains("mean pooling")), "{notes:?}");
    assert_eq!(Copy::of("mean").import().unwrap().notes, Vec::<String>::new());
}

#[test]
fn names_licences_and_lengths_can_be_stated() {
    let read = Copy::of("mean").import().unwrap().manifest;
    assert_eq!(read.name, "model");
    assert_eq!(read.licence.as_deref(), Some("apache-2.0"));
    assert_eq!(read.provenance.weights_sha256.as_ref().map(String::len), Some(64));
    let options = ImportOptions {
        name: Some("stated".into()),
        licence: Some("mit".into()),
        max_tokens: Some(24),
        ..Default::default()
    };
    let copy = Copy::of("mean");
    let stated = copy.import_with(&options).unwrap().manifest;
    assert_eq!((stated.name.as_str(), stated.licence.as_deref()), ("stated", Some("mit")));
    assert_eq!(stated.text.unwrap().max_tokens, 24);
    for wrong in [0, 25] {
        let options = ImportOptions { max_tokens: Some(wrong), ..Default::default() };
        assert!(Copy::of("mean").import_with(&options).is_err());
    }
}

#[test]
fn the_same_import_gives_the_same_bytes_and_counts_to_the_end() {
    let (one, two) = (Copy::of("joined"), Copy::of("joined"));
    one.import().unwrap();
    let mut steps: Vec<Progress> = Vec::new();
    import(&two.folder(), &two.bundle(), &ImportOptions::default(), &mut |step| steps.push(step))
        .unwrap();
    assert_eq!(std::fs::read(one.bundle()).unwrap(), std::fs::read(two.bundle()).unwrap());
    assert!(steps.windows(2).all(|pair| pair[0].done_bytes <= pair[1].done_bytes));
    let last = steps.last().unwrap();
    assert_eq!(last.done_bytes, last.total_bytes);
    assert!(last.total_bytes > 20_000);
}

#[test]
fn a_target_that_exists_stays_unless_overwriting_is_asked_for() {
    let copy = Copy::of("plain");
    std::fs::write(copy.bundle(), "precious").unwrap();
    let message = copy.import().unwrap_err().to_string();
    assert!(message.contains("exists already"), "{message}");
    assert_eq!(std::fs::read(copy.bundle()).unwrap(), b"precious");
    copy.import_with(&ImportOptions { overwrite: true, ..Default::default() }).unwrap();
    Expected::read("plain").check(&copy.open());
    assert_eq!(copy.names(), ["model", "model.offshoot"]);
    let into_folder = import(
        &copy.folder(),
        &copy.folder(),
        &ImportOptions { overwrite: true, ..Default::default() },
        &mut |_| {},
    );
    assert!(into_folder.unwrap_err().to_string().contains("is a folder"));
}

#[test]
fn an_interrupt_leaves_nothing() {
    let copy = Copy::of("plain");
    let stop = Arc::new(AtomicBool::new(false));
    let options = ImportOptions { stop: Some(stop.clone()), ..Default::default() };
    let result = import(&copy.folder(), &copy.bundle(), &options, &mut |step| {
        // While the weights are being written.
        if step.done_bytes > step.total_bytes / 2 {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    assert_eq!(copy.names(), ["model"]);
}

#[test]
fn weights_in_other_forms_are_refused() {
    let copy = Copy::of("plain");
    std::fs::rename(copy.path("model.safetensors"), copy.path("pytorch_model.bin")).unwrap();
    let message = copy.refusal();
    assert!(message.contains("pytorch_model.bin: weights in this form"), "{message}");
    let copy = Copy::of("cls_dense");
    let dense = copy.path("3_Dense/model.safetensors");
    std::fs::rename(&dense, copy.path("3_Dense/pytorch_model.bin")).unwrap();
    let message = copy.refusal();
    assert!(message.contains("3_Dense") && message.contains("pytorch_model.bin"), "{message}");
}

#[test]
fn configurations_that_cannot_be_followed_are_refused_by_key() {
    let pooling = "1_Pooling/config.json";
    for (name, file, from, to, says) in [
        (
            "joined",
            pooling,
            r#"weightedmean_tokens": false"#,
            r#"weightedmean_tokens": true"#,
            "weightedmean",
        ),
        ("joined", pooling, r#"{"#, r#"{"include_prompt": false,"#, "include_prompt"),
        ("mean", pooling, "16", "17", "width 17 and the encoder's are 16"),
        ("mean", pooling, r#""mean""#, r#""median""#, "`median`"),
        ("mean", "modules.json", "Normalize", "LayerNorm", "LayerNorm"),
        (
            "mean",
            "config.json",
            r#""hidden_size": 16"#,
            r#""hidden_size": 32"#,
            "asks for [24, 32]",
        ),
        ("mean", "config.json", r#""bert""#, r#""t5""#, "`t5`"),
        ("cls_dense", "2_Dense/config.json", "GELU", "Mish", "Mish"),
        (
            "cls_dense",
            "2_Dense/config.json",
            r#""in_features": 16"#,
            r#""in_features": 8"#,
            "is 8 and what enters is 16",
        ),
        (
            "cls_dense",
            "4_Dense/config.json",
            r#""out_features": 6"#,
            r#""out_features": 7"#,
            "asks for [7, 12]",
        ),
        ("mean", "tokenizer.json", r#""dog": "#, r#""dog": 9"#, "rows"),
        ("mean", "modules.json", "[", "{", "not valid JSON"),
    ] {
        let copy = Copy::of(name);
        copy.edit(file, from, to);
        let message = copy.refusal();
        assert!(message.contains(says), "{file}: {message}");
    }
}

#[test]
fn missing_files_are_named() {
    let copy = Copy::of("mean");
    copy.remove("tokenizer.json");
    assert!(copy.refusal().contains("tokenizer.json: the file is missing"));
    let copy = Copy::of("mean");
    copy.remove("config.json");
    assert!(copy.refusal().contains("config.json"));
    let copy = Copy::of("cls_dense");
    copy.remove("2_Dense/model.safetensors");
    assert!(copy.refusal().contains("2_Dense/model.safetensors: the module's weights are missing"));
}

/// Rewrites a safetensors file with some of its elements changed.
fn change_weights(path: &std::path::Path, tensor: &str, change: impl Fn(&mut Vec<u8>)) {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let mut data = view.data().to_vec();
            if name == tensor {
                change(&mut data);
            }
            (name, view.dtype(), view.shape().to_vec(), data)
        })
        .collect();
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

#[test]
fn nan_in_weights_is_refused_by_tensor() {
    for (file, tensor) in [
        ("model.safetensors", "encoder.layer.0.output.dense.weight"),
        ("2_Dense/model.safetensors", "linear.bias"),
    ] {
        let copy = Copy::of("cls_dense");
        change_weights(&copy.path(file), tensor, |data| {
            data[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
        });
        let message = copy.refusal();
        assert!(message.contains(tensor) && message.contains("NaN"), "{message}");
    }
}
