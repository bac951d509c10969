//! Heads of numbers and of several labels in a fused file.

use ndarray::{Array2, Axis};
use offshoot::adapters::calibration::CalibrationKind;
use offshoot::adapters::{Classes, EncoderTag, FittedFile, MultiLabel, Regression};
use offshoot::{Encoder, Prompt};
use offshoot_export::{Error, FuseOptions, fuse};
use onnx_protobuf::{Message, ModelProto};
use ort::session::{Session, SessionOutputs};

use crate::support::{TEXTS, TOLERANCE, embed, encoder, session, with_outputs};

fn tag(encoder: &Encoder, dimensions: usize) -> EncoderTag {
    EncoderTag {
        digest: encoder.digest().into(),
        name: encoder.manifest().name.clone(),
        dimensions,
        prompt: None,
    }
}

fn outputs(session: &mut Session, encoder: &Encoder, check: impl FnOnce(&SessionOutputs<'_>)) {
    with_outputs(session, encoder, &Prompt::None, check);
}

#[test]
fn numbers_are_the_same_in_a_plain_session() {
    let (copy, encoder) = encoder();
    let file = copy.path("fused.onnx");
    for (dimensions, count) in [(None, 1), (Some(encoder.dimensions() / 2), 3)] {
        let x = embed(&encoder, dimensions);
        // Of very different sizes.
        let targets = Array2::from_shape_fn((TEXTS.len(), count), |(i, j)| {
            1e5 * (i as f64 + 1.0).sin() * 10f64.powi(-4 * j as i32)
        });
        let head = Regression { penalties: vec![1e-3] }.fit(x.view(), targets.view()).unwrap();
        let head = FittedFile::new(tag(&encoder, x.ncols()), head);
        let options = FuseOptions { overwrite: true, ..Default::default() };
        let fused = fuse(&copy.bundle(), &head, &file, &options, &mut |_| {}).unwrap();
        assert_eq!(fused.outputs, ["embedding", "value"]);
        let expected = head.fitted.predict(x.view()).unwrap();
        outputs(&mut session(&file), &encoder, |outputs| {
            let (shape, values) = outputs["value"].try_extract_tensor::<f64>().unwrap();
            let wanted: &[i64] = if count == 1 { &[10] } else { &[10, 3] };
            assert_eq!(&shape[..], wanted);
            for (found, expected) in values.iter().zip(&expected) {
                // The embedding's own rounding, in a number of this size.
                let size = TOLERANCE * (1.0 + targets.iter().fold(0.0f64, |a, t| a.max(t.abs())));
                assert!((found - expected).abs() <= size, "{found} against {expected}");
            }
        });
    }
}

#[test]
fn several_labels_are_the_same_in_a_plain_session() {
    let (copy, encoder) = encoder();
    let file = copy.path("fused.onnx");
    let x = embed(&encoder, None);
    // The first label can be told from the embedding, the third is never true, the fourth always.
    let middle = x.column(0).mean().unwrap();
    let truth = Array2::from_shape_fn((TEXTS.len(), 4), |(i, j)| match j {
        0 => x[[i, 0]] > middle,
        1 => i % 3 == 0,
        _ => j == 3,
    });
    let labels = Classes::new(["a", "é", "never", "always"].map(String::from).to_vec()).unwrap();
    let head = MultiLabel { penalties: vec![1e-3] }.fit(x.view(), truth.view(), labels).unwrap();
    let head = FittedFile::new(tag(&encoder, x.ncols()), head);
    let options = FuseOptions { overwrite: true, ..Default::default() };
    let fused = fuse(&copy.bundle(), &head, &file, &options, &mut |_| {}).unwrap();
    assert_eq!(fused.outputs, ["embedding", "labels", "scores"]);
    let (scores, predicted) =
        (head.fitted.decision_function(x.view()).unwrap(), head.fitted.predict(x.view()).unwrap());
    assert!(predicted.column(0).iter().any(|&p| p) && !predicted.column(0).iter().all(|&p| p));
    outputs(&mut session(&file), &encoder, |outputs| {
        let (shape, found) = outputs["scores"].try_extract_tensor::<f32>().unwrap();
        assert_eq!(&shape[..], &[10, 4]);
        for (found, expected) in found.iter().zip(&scores) {
            assert!((f64::from(*found) - expected).abs() <= TOLERANCE, "{found}, not {expected}");
        }
        let found = outputs["labels"].try_extract_tensor::<bool>().unwrap().1;
        assert!(found.iter().eq(predicted.iter()));
    });
    let model = ModelProto::parse_from_bytes(&std::fs::read(&file).unwrap()).unwrap();
    let entry = |key: &str| {
        model.metadata_props.iter().find(|entry| entry.key == key).map(|e| e.value.as_str())
    };
    assert_eq!(entry("offshoot.head"), Some("multi-label"));
    assert_eq!(entry("offshoot.classes"), Some(r#"["a","é","never","always"]"#));
}

#[test]
fn what_has_no_probabilities_is_not_calibrated() {
    let (copy, encoder) = encoder();
    let x = embed(&encoder, None);
    let targets = x.sum_axis(Axis(1)).mapv(f64::from).insert_axis(Axis(1));
    let head = Regression::default().fit(x.view(), targets.view()).unwrap();
    let head = FittedFile::new(tag(&encoder, x.ncols()), head);
    let logs = Array2::from_elem((4, 2), 0.5f64.ln());
    let calibration =
        CalibrationKind::Temperature.fit(logs.view(), &[0, 1, 0, 1], &[true; 4]).unwrap();
    let options = FuseOptions { calibration: Some(calibration), ..Default::default() };
    let file = copy.path("fused.onnx");
    let fused = fuse(&copy.bundle(), &head, &file, &options, &mut |_| {});
    assert!(matches!(fused, Err(Error::Head(message)) if message.contains("no probabilities")));
    assert!(!file.exists());
}
