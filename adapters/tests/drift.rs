//! The rate of false alarms, what is found, and what is refused.

use ndarray::{Array2, s};
use offshoot_adapters::drift::Reference;
use offshoot_adapters::{DriftFile, EncoderTag, Error};

/// Normal numbers by the sum of uniform ones, from a simple generator of 64 bits.
struct Normal(u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Unit embeddings around a few centres, wider in the first dimensions.
    fn cloud(&mut self, rows: usize, width: usize, shift: f64) -> Array2<f32> {
        let mut x = Array2::from_shape_fn((rows, width), |(i, j)| {
            let normal = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
            let centre = if j == i % 3 { 2.0 } else { 0.0 };
            (centre + shift + normal / (1.0 + j as f64).sqrt()) as f32
        });
        for mut row in x.outer_iter_mut() {
            let length = row.dot(&row).sqrt();
            row /= length;
        }
        x
    }
}

#[test]
fn false_alarms_are_as_rare_as_asked_for() {
    // Rows of 24 to 1000 on either side, widths above the number of rows included.
    for (seed, reference, new, width) in
        [(1, 150, 30, 64), (2, 150, 150, 200), (3, 1000, 60, 16), (4, 300, 1000, 16)]
    {
        let mut random = Normal(seed);
        let runs = 300;
        let alarms = (0..runs).filter(|_| {
            let reference = Reference::new(random.cloud(reference, width, 0.0).view()).unwrap();
            reference.compare(random.cloud(new, width, 0.0).view(), 0.05).unwrap().drifted
        });
        let alarms = alarms.count();
        // 15 of 300 are allowed; three deviations of chance above that.
        assert!(alarms <= 15 + 11, "{alarms} of {runs} at {reference}, {new}, {width}");
    }
}

#[test]
fn changes_are_found() {
    let mut random = Normal(9);
    let reference = Reference::new(random.cloud(400, 32, 0.0).view()).unwrap();
    let shifted = reference.compare(random.cloud(200, 32, 0.3).view(), 0.01).unwrap();
    assert!(shifted.drifted && shifted.mean_shift > 0.2, "{shifted:?}");
    // One of three groups only: the same place, other shares.
    let one = random.cloud(600, 32, 0.0).slice(s![..;3, ..]).to_owned();
    assert!(reference.compare(one.view(), 0.01).unwrap().drifted);
    let same = reference.compare(random.cloud(200, 32, 0.0).view(), 0.01).unwrap();
    assert!(!same.drifted && same.mean_shift < 0.15, "{same:?}");
}

#[test]
fn bad_input_is_refused() {
    let mut random = Normal(3);
    let x = random.cloud(120, 8, 0.0);
    let few = Reference::new(x.slice(s![..99, ..])).unwrap_err();
    assert!(matches!(few, Error::Setting { name: "rows", .. }), "{few}");
    let reference = Reference::new(x.view()).unwrap();
    let narrow = reference.compare(x.slice(s![.., ..7]), 0.01);
    assert!(matches!(narrow, Err(Error::Width { found: 7, expected: 8 })));
    assert!(matches!(reference.compare(x.slice(s![..5, ..]), 0.01), Err(Error::Setting { .. })));
    assert!(matches!(reference.compare(x.view(), 0.0), Err(Error::Setting { .. })));
    let mut nan = x.clone();
    nan[[3, 3]] = f32::NAN;
    assert!(matches!(Reference::new(nan.view()), Err(Error::NotFinite { row: 3, .. })));
    assert!(matches!(reference.compare(nan.view(), 0.01), Err(Error::NotFinite { .. })));
    // Constant embeddings are a reference too.
    let constant = Array2::<f32>::ones((120, 8));
    let reference = Reference::new(constant.view()).unwrap();
    assert!(!reference.compare(constant.view(), 0.01).unwrap().drifted);
    assert!(reference.compare(x.view(), 0.01).unwrap().drifted);
}

#[test]
fn a_file_is_small_whole_and_bound_to_its_encoder() {
    let mut random = Normal(5);
    let encoder =
        EncoderTag { digest: "sha256:1".into(), name: "e".into(), dimensions: 384, prompt: None };
    let reference = Reference::new(random.cloud(120, 384, 0.0).view()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.drift");
    let file = DriftFile { encoder, reference };
    file.save(&path).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 10_000);
    assert_eq!(DriftFile::load_for(&path, "sha256:1", 384).unwrap(), file);
    let other = DriftFile::load_for(&path, "sha256:2", 384);
    assert!(matches!(other, Err(Error::OtherEncoder { .. })));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[900] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(DriftFile::load(&path), Err(Error::BadReference { .. })));
}
