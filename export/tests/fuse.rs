//! Heads fused with their encoder give what they give apart, in a plain session.

mod common;
mod published;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ndarray::{Array2, s};
use offshoot::adapters::{Classes, EncoderTag, Head, HeadFile, HeadKind};
use offshoot::{EmbedOptions, Encoder, Prompt};
use offshoot_export::{Error, FuseOptions, fuse};
use ort::session::Session;
use ort::value::TensorRef;
use published::{Copy, open};

/// Largest absolute difference of a probability from the one computed apart.
const TOLERANCE: f64 = 1e-5;

/// The first ones are learned, all are asked about.
const TEXTS: [&str; 10] = [
    "a good film",
    "the plot was dull",
    "a great actor",
    "free money",
    "you win an offer",
    "the invoice is due",
    "a bad movie",
    "invoice of today",
    "",
    "free film , great offer !",
];
const LABELS: [&str; 7] = ["Film", "Film", "Film", "spam – free", "spam – free", "bills", "Film"];

/// A small published encoder, open, and where its bundle lies.
fn encoder() -> (Copy, Encoder) {
    let copy = Copy::of("onnx_external");
    copy.import().unwrap();
    let encoder = open(&copy.bundle());
    (copy, encoder)
}

fn embed(encoder: &Encoder, dimensions: Option<usize>) -> Array2<f32> {
    let options = EmbedOptions {
        prompt: Prompt::None,
        dimensions: dimensions.map(|n| n.try_into().unwrap()),
        ..Default::default()
    };
    encoder.embed_with(&TEXTS, &options).unwrap().into_vectors()
}

fn learn(encoder: &Encoder, x: &Array2<f32>, kind: HeadKind) -> HeadFile {
    let (classes, y) = Classes::from_labels(&LABELS).unwrap();
    let head = kind.fit(x.slice(s![..LABELS.len(), ..]), &y, classes).unwrap();
    let tag = EncoderTag {
        digest: encoder.digest().into(),
        name: encoder.manifest().name.clone(),
        dimensions: x.ncols(),
        prompt: None,
    };
    HeadFile::new(tag, head, &y)
}

/// What a program that knows nothing of this project gets from the file.
struct Answers {
    labels: Vec<String>,
    probabilities: Array2<f64>,
}

fn run(file: &Path, encoder: &Encoder, width: usize) -> Answers {
    let mut session = Session::builder(common::engine().environment())
        .unwrap()
        .with_intra_threads(1)
        .unwrap()
        .commit_from_file(file)
        .unwrap();
    let options = EmbedOptions { prompt: Prompt::None, ..Default::default() };
    let rows: Vec<Vec<u32>> =
        TEXTS.iter().map(|text| encoder.tokenize(text, &options).unwrap().ids).collect();
    let tokens = rows.iter().map(Vec::len).max().unwrap();
    let pad = encoder.manifest().text.as_ref().unwrap().pad_id;
    let mut ids = Array2::from_elem((rows.len(), tokens), i64::from(pad));
    let mut mask = Array2::<i64>::zeros((rows.len(), tokens));
    for (i, row) in rows.iter().enumerate() {
        for (j, &id) in row.iter().enumerate() {
            ids[[i, j]] = i64::from(id);
            mask[[i, j]] = 1;
        }
    }
    let ids = TensorRef::from_array_view(([rows.len(), tokens], ids.as_slice().unwrap())).unwrap();
    let mask =
        TensorRef::from_array_view(([rows.len(), tokens], mask.as_slice().unwrap())).unwrap();
    let outputs = session.run(ort::inputs!["input_ids" => ids, "attention_mask" => mask]).unwrap();
    let labels: Vec<String> =
        outputs["label"].try_extract_strings().unwrap().1.into_iter().collect();
    let (shape, values) = outputs["probabilities"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(shape[0], TEXTS.len() as i64);
    let probabilities = Array2::from_shape_fn((TEXTS.len(), shape[1] as usize), |(i, k)| {
        f64::from(values[i * shape[1] as usize + k])
    });
    let (_, indices) = outputs["label_index"].try_extract_tensor::<i64>().unwrap();
    for (row, &index) in probabilities.outer_iter().zip(indices) {
        assert!(row.iter().all(|&p| p <= row[index as usize]));
    }
    let (shape, _) = outputs["embedding"].try_extract_tensor::<f32>().unwrap();
    assert_eq!(shape[1], width as i64, "the whole embedding is an output");
    Answers { labels, probabilities }
}

fn check(head: &Head, x: &Array2<f32>, answers: &Answers) {
    let expected = head.predict_proba(x.view()).unwrap();
    for (found, expected) in answers.probabilities.iter().zip(&expected) {
        assert!((found - expected).abs() <= TOLERANCE, "{found} against {expected}");
    }
    for (label, class) in answers.labels.iter().zip(head.predict(x.view()).unwrap()) {
        assert_eq!(label, head.classes().name(class));
    }
    // A graph that ignored its input would pass what is above for one text only.
    let first = answers.probabilities.row(0);
    assert!(
        answers.probabilities.outer_iter().any(|row| (&row - &first).mapv(f64::abs).sum() > 1e-4)
    );
}

#[test]
fn every_kind_of_head_gives_the_same_answers_in_a_plain_session() {
    let (copy, encoder) = encoder();
    for dimensions in [None, Some(encoder.dimensions() / 2)] {
        let x = embed(&encoder, dimensions);
        for kind in HeadKind::ALL {
            let head = learn(&encoder, &x, kind);
            let file = copy.path("fused.onnx");
            let options = FuseOptions { overwrite: true, ..Default::default() };
            let fused = fuse(&copy.bundle(), &head, &file, &options, &mut |_| {}).unwrap();
            assert_eq!(fused.size, std::fs::metadata(&file).unwrap().len());
            check(&head.head, &x, &run(&file, &encoder, encoder.dimensions()));
        }
    }
}

#[test]
fn the_file_says_what_it_is() {
    use onnx_protobuf::{Message, ModelProto};

    let (copy, encoder) = encoder();
    let mut head = learn(&encoder, &embed(&encoder, None), HeadKind::Ridge);
    head.encoder.prompt = Some("query: ".into());
    let file = copy.path("fused.onnx");
    fuse(&copy.bundle(), &head, &file, &FuseOptions::default(), &mut |_| {}).unwrap();
    let model = ModelProto::parse_from_bytes(&std::fs::read(&file).unwrap()).unwrap();
    let entry = |key: &str| {
        model.metadata_props.iter().find(|entry| entry.key == key).map(|e| e.value.as_str())
    };
    assert_eq!(entry("offshoot.classes"), Some(r#"["Film","bills","spam – free"]"#));
    assert_eq!(entry("offshoot.encoder_digest"), Some(encoder.digest()));
    assert_eq!(entry("offshoot.head"), Some("ridge"));
    assert_eq!(entry("offshoot.prompt"), Some("query: "));
}

#[test]
fn another_encoder_a_taken_name_and_an_interrupt_leave_nothing() {
    let (copy, encoder) = encoder();
    let head = learn(&encoder, &embed(&encoder, None), HeadKind::NearestMean);
    let file = copy.path("fused.onnx");
    let before = std::fs::read_dir(copy.folder()).unwrap().count();

    let mut other = head.clone();
    other.encoder.digest = "0".repeat(64);
    let error = fuse(&copy.bundle(), &other, &file, &FuseOptions::default(), &mut |_| {});
    assert!(matches!(error, Err(Error::Head(message)) if message.contains("0000")));

    let stop = Some(Arc::new(AtomicBool::new(true)));
    let options = FuseOptions { stop, ..Default::default() };
    let stopped = fuse(&copy.bundle(), &head, &file, &options, &mut |_| {});
    assert!(matches!(stopped, Err(Error::Interrupted)));
    assert_eq!(std::fs::read_dir(copy.folder()).unwrap().count(), before);

    std::fs::write(&file, b"mine").unwrap();
    let taken = fuse(&copy.bundle(), &head, &file, &FuseOptions::default(), &mut |_| {});
    assert!(matches!(taken, Err(Error::Archive { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}
