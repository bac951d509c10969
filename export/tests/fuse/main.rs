//! Heads fused with their encoder give what they give apart, in a plain session.

#[path = "../common/mod.rs"]
mod common;
mod neighbors;
mod others;
#[path = "../published/mod.rs"]
mod published;
mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ndarray::{Array2, s};
use offshoot::adapters::calibration::{Calibration, CalibrationKind};
use offshoot::adapters::open_set::OpenSet;
use offshoot::adapters::{Classes, Head, HeadKind, most_likely};
use offshoot_export::{Error, FuseOptions, Rejection, fuse};
use support::{LABELS, TOLERANCE, check, embed, encoder, learn, run};

#[test]
fn every_kind_of_head_gives_the_same_answers_in_a_plain_session() {
    let (copy, encoder) = encoder();
    for dimensions in [None, Some(encoder.dimensions() / 2)] {
        let x = embed(&encoder, dimensions);
        for kind in HeadKind::ALL {
            let head = learn(&encoder, &x, kind);
            if let Head::Auto(auto) = &head.head {
                assert!(auto.holds_examples(), "curved members are part of the test");
            }
            let file = copy.path("fused.onnx");
            let options = FuseOptions { overwrite: true, ..Default::default() };
            let fused = fuse(&copy.bundle(), &head, &file, &options, &mut |_| {}).unwrap();
            assert_eq!(fused.size, std::fs::metadata(&file).unwrap().len());
            check(&head.head, &x, &run(&file, &encoder, encoder.dimensions()));
        }
    }
}

/// A calibration that makes unsure what was sure, and one that moves classes apart.
fn calibrations() -> Vec<Calibration> {
    let rows = [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.3, 0.3, 0.4]];
    let logs = Array2::from_shape_fn((12, 3), |(i, k)| f64::ln(rows[i % 4][k]));
    let y = [0, 1, 1, 2, 0, 0, 1, 2, 2, 1, 0, 2];
    let fit = |kind: CalibrationKind| kind.fit(logs.view(), &y, &[true; 12]).unwrap();
    CalibrationKind::ALL.into_iter().map(fit).collect()
}

#[test]
fn calibrated_probabilities_and_what_is_known_are_the_same_in_a_plain_session() {
    let (copy, encoder) = encoder();
    for dimensions in [None, Some(encoder.dimensions() / 2)] {
        let x = embed(&encoder, dimensions);
        let (classes, y) = Classes::from_labels(&LABELS).unwrap();
        let learned = x.slice(s![..LABELS.len(), ..]);
        // With a pool the embeddings are centred.
        let pool =
            Array2::from_shape_fn((40, x.ncols()), |(i, j)| x[[i % 10, (i + j) % x.ncols()]]);
        for unlabeled in [None, Some(pool.view())] {
            let open_set = OpenSet::fit(learned, &y, &classes, unlabeled).unwrap();
            for kind in [HeadKind::Auto, HeadKind::Ridge, HeadKind::NearestNeighbors] {
                let head = learn(&encoder, &x, kind);
                for calibration in calibrations() {
                    let false_accepts = 0.5;
                    let options = FuseOptions {
                        overwrite: true,
                        calibration: Some(calibration.clone()),
                        rejection: Some(Rejection { open_set: open_set.clone(), false_accepts }),
                        ..Default::default()
                    };
                    let file = copy.path("fused.onnx");
                    let fused = fuse(&copy.bundle(), &head, &file, &options, &mut |_| {}).unwrap();
                    assert!(fused.outputs.iter().any(|name| name == "known"));
                    let answers = run(&file, &encoder, encoder.dimensions());
                    let plain = head.head.predict_proba(x.view()).unwrap();
                    let expected = calibration.apply(plain.view()).unwrap();
                    assert!((&plain - &expected).iter().any(|d| d.abs() > 1e-3));
                    for (found, expected) in answers.probabilities.iter().zip(&expected) {
                        assert!((found - expected).abs() <= TOLERANCE, "{found}, not {expected}");
                    }
                    for (label, p) in answers.labels.iter().zip(expected.outer_iter()) {
                        assert_eq!(label, classes.name(most_likely(p).0));
                    }
                    let scores = open_set.scores(x.view()).unwrap();
                    let accepted = open_set.accepts(x.view(), false_accepts).unwrap();
                    let known = answers.known.unwrap();
                    for ((known, score), (accepted, expected)) in
                        known.into_iter().zip(accepted.into_iter().zip(scores))
                    {
                        assert!((f64::from(score) - expected).abs() <= TOLERANCE);
                        assert_eq!(known, accepted, "{expected}");
                    }
                }
            }
            let accepted = open_set.accepts(x.view(), 0.5).unwrap();
            assert!(accepted.contains(&true) && accepted.contains(&false), "{accepted:?}");
        }
    }
}

#[test]
fn calibration_and_rejection_of_something_else_are_refused() {
    let (copy, encoder) = encoder();
    let x = embed(&encoder, None);
    let head = learn(&encoder, &x, HeadKind::Ridge);
    let (file, y) = (copy.path("fused.onnx"), [0, 1, 0, 1]);
    let refused = |options: &FuseOptions| {
        let fused = fuse(&copy.bundle(), &head, &file, options, &mut |_| {});
        assert!(!file.exists());
        match fused {
            Err(Error::Head(message)) => message,
            other => panic!("{other:?}"),
        }
    };
    let logs = Array2::from_elem((4, 2), 0.5f64.ln());
    let calibration = CalibrationKind::Dirichlet.fit(logs.view(), &y, &[true; 4]).unwrap();
    let of_two = FuseOptions { calibration: Some(calibration), ..Default::default() };
    assert!(refused(&of_two).contains("2 classes and the head has 3"));
    let classes = Classes::new(vec!["a".into(), "b".into()]).unwrap();
    let gate = |width: usize| OpenSet::fit(x.slice(s![..4, ..width]), &y, &classes, None).unwrap();
    let rejection = |width, false_accepts| FuseOptions {
        rejection: Some(Rejection { open_set: gate(width), false_accepts }),
        ..Default::default()
    };
    assert!(refused(&rejection(3, 0.1)).contains("3 dimensions"));
    assert!(refused(&rejection(x.ncols(), 1.0)).contains("between 0 and 1"));
}

#[test]
fn the_file_says_what_it_is() {
    use onnx_protobuf::{Message, ModelProto};

    let (copy, encoder) = encoder();
    let mut head = learn(&encoder, &embed(&encoder, None), HeadKind::Ridge);
    head.encoder.prompt = Some("query: ".into());
    let file = copy.path("fused.onnx");
    let (classes, y) = Classes::from_labels(&LABELS).unwrap();
    let x = embed(&encoder, None);
    let open_set = OpenSet::fit(x.slice(s![..LABELS.len(), ..]), &y, &classes, None).unwrap();
    let threshold = open_set.threshold(0.1).unwrap();
    let calibration = calibrations().remove(0);
    let options = FuseOptions {
        calibration: Some(calibration.clone()),
        rejection: Some(Rejection { open_set, false_accepts: 0.1 }),
        ..Default::default()
    };
    fuse(&copy.bundle(), &head, &file, &options, &mut |_| {}).unwrap();
    let model = ModelProto::parse_from_bytes(&std::fs::read(&file).unwrap()).unwrap();
    let entry = |key: &str| {
        model.metadata_props.iter().find(|entry| entry.key == key).map(|e| e.value.as_str())
    };
    assert_eq!(entry("offshoot.classes"), Some(r#"["Film","bills","spam – free"]"#));
    assert_eq!(entry("offshoot.encoder_digest"), Some(encoder.digest()));
    assert_eq!(entry("offshoot.head"), Some("ridge"));
    assert_eq!(entry("offshoot.prompt"), Some("query: "));
    assert_eq!(entry("offshoot.known_threshold").unwrap().parse(), Ok(threshold));
    assert_eq!(entry("offshoot.false_accepts"), Some("0.1"));
    let Calibration::Temperature(temperature) = calibration else { panic!() };
    let said: serde_json::Value =
        serde_json::from_str(entry("offshoot.calibration").unwrap()).unwrap();
    assert_eq!(said, serde_json::json!({"temperature": {"inverse": temperature.inverse()}}));
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
