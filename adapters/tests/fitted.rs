//! Files of regression, multi-label heads, conformal prediction and open-set rejection: what is
//! saved comes back, and everything else is refused with its reason.

use std::fmt::Debug;
use std::fs;

use ndarray::{Array2, array};
use offshoot_adapters::conformal::Conformal;
use offshoot_adapters::open_set::OpenSet;
use offshoot_adapters::{
    Classes, ConformalFile, EncoderTag, Error, Fitted, FittedFile, HeadFile, MultiLabel,
    MultiLabelFile, OpenSetFile, Regression, RegressionFile,
};
use sha2::{Digest, Sha256};

fn tag() -> EncoderTag {
    EncoderTag {
        digest: "sha256:0123".into(),
        name: "all-MiniLM-L6-v2".into(),
        dimensions: 5,
        prompt: Some("query: ".into()),
    }
}

fn x() -> Array2<f32> {
    Array2::from_shape_fn((12, 5), |(i, j)| ((i * 5 + j * 3) as f32).sin())
}

fn labels() -> (Classes, Vec<usize>) {
    let labels: Vec<&str> = (0..12).map(|i| ["é\n\"", "b", "a"][i % 3]).collect();
    Classes::from_labels(&labels).unwrap()
}

fn regression() -> RegressionFile {
    let targets = Array2::from_shape_fn((12, 2), |(i, j)| ((i * (j + 3)) as f64).cos());
    let head = Regression::default().fit(x().view(), targets.view()).unwrap();
    FittedFile::new(tag(), head)
}

fn multi_label() -> MultiLabelFile {
    // The first label is never true, the second always: their thresholds are infinite.
    let truth = Array2::from_shape_fn((12, 3), |(i, j)| j == 1 || (j == 2 && i % 3 == 0));
    let names = Classes::new(vec!["never".into(), "always".into(), "some\t".into()]).unwrap();
    let head = MultiLabel::default().fit(x().view(), truth.view(), names).unwrap();
    assert!(head.thresholds().iter().any(|t| t.is_infinite()));
    FittedFile::new(tag(), head)
}

fn conformal(settings: Conformal) -> ConformalFile {
    let (classes, y) = labels();
    FittedFile::new(tag(), settings.fit(x().view(), &y, classes).unwrap())
}

fn open_set(unlabeled: bool) -> OpenSetFile {
    let (classes, y) = labels();
    let pool = Array2::from_shape_fn((30, 5), |(i, j)| ((i * 7 + j * 11) as f32).cos());
    let pool = unlabeled.then_some(pool.view());
    FittedFile::new(tag(), OpenSet::fit(x().view(), &y, &classes, pool).unwrap())
}

/// Comes back equal from its file and its bytes, for its encoder only, and no changed byte is
/// taken.
fn check<T: Fitted + Clone + Debug + PartialEq>(file: &FittedFile<T>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept");
    file.save(&path).unwrap();
    assert_eq!(&FittedFile::<T>::load(&path).unwrap(), file);
    assert_eq!(&FittedFile::<T>::load_for(&path, "sha256:0123", 5).unwrap(), file);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(file.to_bytes().unwrap(), bytes);
    assert_eq!(&FittedFile::<T>::from_bytes(&bytes).unwrap(), file);

    let error = FittedFile::<T>::load_for(&path, "sha256:4567", 5).unwrap_err();
    assert!(matches!(error, Error::OtherEncoder { .. }), "{error}");
    let error = FittedFile::<T>::load_for(&path, "sha256:0123", 4).unwrap_err();
    assert!(matches!(error, Error::OtherDimensions { found: 5, wanted: 4, .. }), "{error}");
    let mut wide = file.clone();
    wide.encoder.dimensions = 6;
    assert!(matches!(wide.save(&path), Err(Error::Width { found: 6, expected: 5 })));
    assert_eq!(fs::read(&path).unwrap(), bytes, "the old file is kept");
    assert!(
        matches!(HeadFile::load(&path), Err(Error::BadFile { .. })),
        "it is no head of classes"
    );

    for position in (0..bytes.len()).step_by(13) {
        let cut = FittedFile::<T>::from_bytes(&bytes[..position]);
        assert!(matches!(cut, Err(Error::BadFile { .. })), "cut to {position}");
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        let flipped = FittedFile::<T>::from_bytes(&flipped);
        assert!(matches!(flipped, Err(Error::BadFile { .. })), "flip at {position}");
    }
}

#[test]
fn what_is_saved_comes_back_and_answers_alike() {
    let new = array![[0.3f32, -0.2, 0.8, 0.1, 0.4], [1.0, 0.0, 0.0, -1.0, 2.0]];
    let file = regression();
    check(&file);
    let kept = RegressionFile::from_bytes(&file.to_bytes().unwrap()).unwrap().fitted;
    assert_eq!(
        kept.predict_intervals(new.view(), 0.8).unwrap(),
        file.fitted.predict_intervals(new.view(), 0.8).unwrap()
    );

    let file = multi_label();
    check(&file);
    let kept = MultiLabelFile::from_bytes(&file.to_bytes().unwrap()).unwrap().fitted;
    assert_eq!(kept.predict(new.view()).unwrap(), file.fitted.predict(new.view()).unwrap());

    let smoothed = Conformal { smoothed: Some(u64::MAX), ..Conformal::default() };
    let many = Conformal { exact_limit: 5, allow_empty: true, penalty: 0.1, ..smoothed };
    for settings in [Conformal::default(), smoothed, many] {
        let file = conformal(settings);
        check(&file);
        let kept = ConformalFile::from_bytes(&file.to_bytes().unwrap()).unwrap().fitted;
        assert_eq!(kept.p_values(new.view()).unwrap(), file.fitted.p_values(new.view()).unwrap());
    }

    for unlabeled in [false, true] {
        let file = open_set(unlabeled);
        check(&file);
        let kept = OpenSetFile::from_bytes(&file.to_bytes().unwrap()).unwrap().fitted;
        assert_eq!(kept.scores(new.view()).unwrap(), file.fitted.scores(new.view()).unwrap());
        assert_eq!(kept.threshold(0.1).unwrap(), file.fitted.threshold(0.1).unwrap());
    }
}

/// A file with `from` replaced by `to`, of the same length, and a right checksum.
fn forged(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    let mut bytes = bytes[..bytes.len() - 32].to_vec();
    bytes[at..at + from.len()].copy_from_slice(to);
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

fn problem<T: Fitted + Debug>(bytes: &[u8]) -> String {
    FittedFile::<T>::from_bytes(bytes).unwrap_err().to_string()
}

#[test]
fn files_that_were_made_up_are_refused_by_name() {
    let bytes = |value: f64| value.to_le_bytes();
    let file = regression();
    let whole = file.to_bytes().unwrap();
    let penalty = bytes(file.fitted.penalty());
    let said = problem::<offshoot_adapters::RegressionHead>;
    assert!(said(&forged(&whole, &penalty, &bytes(-1.0))).contains("\"penalty\" holds -1"));
    let coefficient = bytes(file.fitted.coefficients()[[0, 0]]);
    assert!(said(&forged(&whole, &coefficient, &bytes(f64::NAN))).contains("holds NaN"));
    assert!(
        said(&forged(&whole, br#"\"outputs\":2"#, br#"\"outputs\":3"#)).contains("\"residuals\"")
    );
    assert!(said(&forged(&whole, b"\"version\":\"1\"", b"\"version\":\"9\"")).contains("up to 1"));

    let file = multi_label();
    let whole = file.to_bytes().unwrap();
    let said = problem::<offshoot_adapters::MultiLabelHead>;
    let infinite = bytes(f64::INFINITY);
    assert!(said(&forged(&whole, &infinite, &bytes(f64::NAN))).contains("\"thresholds\" holds"));
    let intercept = bytes(file.fitted.intercepts()[2]);
    assert!(said(&forged(&whole, &intercept, &infinite)).contains("\"intercepts\" holds inf"));

    let whole = conformal(Conformal::default()).to_bytes().unwrap();
    let said = problem::<offshoot_adapters::conformal::ConformalPredictor>;
    assert!(said(&forged(&whole, &bytes(2.0), &bytes(7.0))).contains("is no class"));

    let whole = open_set(false).to_bytes().unwrap();
    let said = problem::<OpenSet>;
    let classes = (br#"\"classes\":3"#, br#"\"classes\":1"#);
    assert!(said(&forged(&whole, classes.0, classes.1)).contains("1 classes"));
    let file = open_set(false);
    let entry = bytes(file.fitted.keys()[[1, 1]]);
    assert!(said(&forged(&whole, &entry, &bytes(3.0))).contains("directions"));
    // One kind is not taken for another.
    assert!(said(&regression().to_bytes().unwrap()).contains("of another kind"));
}
