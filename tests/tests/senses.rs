//! Encoders of images and signals: what they compute, on any number of threads and in any
//! form, and what they refuse.

use std::num::NonZero;
use std::path::Path;

use ndarray::{Array2, Array3, ArrayView2, Axis, s};
use offshoot::bundle::Bundle;
use offshoot::{CacheState, EmbedOptions, Encoder, Image, OpenOptions, WeightCache};
use offshoot_tests::senses::{self, IMAGE, WIDTH};
use offshoot_tests::tiny;

fn open(bundle: &Path) -> Encoder {
    let cache = bundle.with_file_name("cache");
    offshoot_tests::options()
        .threads(NonZero::new(3))
        .cache(WeightCache::Folder(cache))
        .open(bundle)
        .unwrap()
}

fn images(count: usize) -> Vec<Image> {
    let samples = IMAGE.height * IMAGE.width * IMAGE.channels;
    let pixels = |i: usize| (0..samples).map(|j| ((i * 31 + j * j * 7) % 256) as u8).collect();
    (0..count)
        .map(|i| Image::new(IMAGE.height, IMAGE.width, IMAGE.channels, pixels(i)).unwrap())
        .collect()
}

fn signals(count: usize) -> Array3<f32> {
    let config = senses::signal();
    Array3::from_shape_fn((count, config.channels, config.length), |(i, c, t)| {
        ((i * 5 + c * 3 + t * t) % 17) as f32 / 4.0 - 2.0
    })
}

/// Each number is within what float32 sums of a hundred products may lose.
fn check(found: ArrayView2<'_, f32>, expected: impl IntoIterator<Item = Vec<f64>>) {
    let expected: Vec<Vec<f64>> = expected.into_iter().collect();
    assert_eq!(found.dim(), (expected.len(), WIDTH));
    for (found, expected) in found.rows().into_iter().zip(&expected) {
        for (&found, expected) in found.iter().zip(expected) {
            assert!((f64::from(found) - expected).abs() < 1e-4, "{found} against {expected}");
        }
    }
}

fn check_images(found: ArrayView2<'_, f32>, images: &[Image]) {
    check(found, images.iter().map(|image| senses::image_embedding(image.pixels())));
}

fn check_signals(found: ArrayView2<'_, f32>, windows: &Array3<f32>) {
    check(
        found,
        windows.outer_iter().map(|window| senses::embedding(window.iter().map(|&v| v.into()))),
    );
}

#[test]
fn images_become_what_the_graph_computes_whatever_the_batches() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = open(&senses::image_bundle(folder.path(), "images"));
    let images = images(75);
    for batch_rows in [1, 7, 32, 1000] {
        let options = EmbedOptions { batch_rows, ..Default::default() };
        let found = encoder.embed_images_with(&images, &options).unwrap();
        check_images(found.vectors(), &images);
        assert_eq!((found.tokens(), found.texts_cut(), found.cut().len()), (0, 0, 75));
    }
    assert_eq!(encoder.embed_images(&[]).unwrap().vectors().dim(), (0, WIDTH));
    let options = EmbedOptions { dimensions: NonZero::new(3), ..Default::default() };
    let fewer = encoder.embed_images_with(&images, &options).unwrap();
    let whole = encoder.embed_images(&images).unwrap();
    assert_eq!(fewer.vectors(), whole.vectors().slice(s![.., ..3]));
}

#[test]
fn signals_become_what_the_graph_computes_whatever_the_batches_and_strides() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = open(&senses::signal_bundle(folder.path(), "signals"));
    let windows = signals(75);
    for batch_rows in [1, 7, 32, 1000] {
        let options = EmbedOptions { batch_rows, ..Default::default() };
        let found = encoder.embed_signals_with(windows.view(), &options).unwrap();
        check_signals(found.vectors(), &windows);
    }
    // Another order in memory, and every second window.
    let other = windows.clone().permuted_axes([0, 2, 1]).as_standard_layout().into_owned();
    let view = other.view().permuted_axes([0, 2, 1]);
    let found = encoder.embed_signals(view.slice(s![..;2, .., ..])).unwrap();
    check_signals(found.vectors(), &windows.slice(s![..;2, .., ..]).to_owned());
    assert_eq!(encoder.embed_signals(Array3::zeros((0, 3, 20)).view()).unwrap().len(), 0);
}

#[test]
fn images_of_other_sizes_and_channels_are_fitted() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = open(&senses::image_bundle(folder.path(), "images"));
    // A grey image of one value, of twice the size and with half transparent pixels:
    // 100 * 128 / 255 + 255 * 127 / 255, rounded, is 177.
    let grey = Image::new(12, 10, 2, [100, 128].repeat(120)).unwrap();
    let found = encoder.embed_images(&[grey]).unwrap();
    check(found.vectors(), [senses::image_embedding(&[177; 90])]);
    let rgba = Image::new(1, 1, 4, vec![10, 20, 30, 255]).unwrap();
    let found = encoder.embed_images(&[rgba]).unwrap();
    check(found.vectors(), [senses::image_embedding(&[10, 20, 30].repeat(30))]);
}

#[test]
fn many_threads_get_the_same_answers_and_unloading_disturbs_none() {
    let folder = tempfile::tempdir().unwrap();
    let seer = open(&senses::image_bundle(folder.path(), "images"));
    let feeler = open(&senses::signal_bundle(folder.path(), "signals"));
    let (images, windows) = (images(90), signals(90));
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (seer, feeler, images, windows) = (&seer, &feeler, &images, &windows);
            scope.spawn(move || {
                for round in 0..4 {
                    let range = thread * 3 + round..thread * 3 + round + 40;
                    let found = seer.embed_images(&images[range.clone()]).unwrap();
                    check_images(found.vectors(), &images[range.clone()]);
                    let part = windows.slice(s![range, .., ..]);
                    let found = feeler.embed_signals(part).unwrap();
                    check_signals(found.vectors(), &part.to_owned());
                    if thread == 0 {
                        seer.unload();
                        feeler.unload();
                    }
                }
            });
        }
    });
    seer.unload();
    assert!(!seer.is_loaded());
    check_images(seer.embed_images(&images).unwrap().vectors(), &images);
    assert!(seer.is_loaded());
}

#[test]
fn weights_are_kept_in_the_cache_or_mapped_from_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = senses::image_bundle(folder.path(), "images");
    let images = images(3);
    assert_eq!(*open(&bundle).cache_state(), CacheState::Made);
    let found = open(&bundle);
    assert_eq!(*found.cache_state(), CacheState::Found);
    let off = OpenOptions::new().cache(WeightCache::Off).open(&bundle).unwrap();
    assert_eq!(*off.cache_state(), CacheState::Off);
    for encoder in [found, off] {
        check_images(encoder.embed_images(&images).unwrap().vectors(), &images);
    }
}

#[test]
fn what_an_encoder_does_not_read_is_refused_with_the_call_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let seer = open(&senses::image_bundle(folder.path(), "images"));
    let feeler = open(&senses::signal_bundle(folder.path(), "signals"));
    let reader = open(&tiny::bundle(folder.path(), "tiny", 1));
    let (images, windows) = (images(2), signals(2));
    let says = |error: offshoot::Error, parts: &[&str]| {
        let error = error.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    says(seer.embed(&["x"]).unwrap_err(), &["\"images\" reads images, not texts", "embed_images"]);
    says(seer.embed(&[] as &[&str]).unwrap_err(), &["not texts"]);
    says(seer.tokenize("x", &EmbedOptions::default()).unwrap_err(), &["not texts"]);
    says(seer.embed_tokens(&[vec![1]], &EmbedOptions::default()).unwrap_err(), &["not texts"]);
    says(seer.decode(&[1]).unwrap_err(), &["not texts"]);
    says(seer.embed_signals(windows.view()).unwrap_err(), &["reads images, not signals"]);
    says(
        feeler.embed_images(&images).unwrap_err(),
        &["reads signals, not images", "embed_signals"],
    );
    says(
        reader.embed_images(&images).unwrap_err(),
        &["reads texts, not images", "`Encoder::embed`"],
    );
    let options = EmbedOptions { dimensions: NonZero::new(9), ..Default::default() };
    says(seer.embed_images_with(&images, &options).unwrap_err(), &["9 dimensions", "has 8"]);

    let wrong = feeler.embed_signals(Array3::zeros((1, 2, 20)).view()).unwrap_err();
    says(wrong, &["have 2 channels and the encoder reads 3 (x, y, z)"]);
    let wrong = feeler.embed_signals(Array3::zeros((1, 3, 21)).view()).unwrap_err();
    says(wrong, &["have 21 samples", "windows of 20 at 10 Hz", "resample"]);
    for value in [f32::NAN, f32::INFINITY] {
        let mut bad = windows.clone();
        bad[[1, 2, 7]] = value;
        let error = feeler.embed_signals(bad.view()).unwrap_err();
        says(error, &["sample 7 of channel 2 (z) of signal 1 is", "finite"]);
    }
}

#[test]
fn signals_of_another_length_are_resampled_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = open(&senses::signal_bundle(folder.path(), "signals"));
    // A straight line stays one at any rate.
    let line = |length: usize| {
        Array2::from_shape_fn((3, length), |(c, t)| c as f32 + 2.0 * t as f32 / (length - 1) as f32)
    };
    let long = offshoot::resample(line(39).view(), 20).insert_axis(Axis(0));
    let found = encoder.embed_signals(long.view()).unwrap();
    check_signals(found.vectors(), &line(20).insert_axis(Axis(0)));
}

#[test]
fn bundles_are_verified_unpacked_and_packed_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bundle) in [
        ("images", senses::image_bundle(folder.path(), "images")),
        ("signals", senses::signal_bundle(folder.path(), "signals")),
    ] {
        Bundle::open(&bundle).unwrap().verify(&mut |_| {}).unwrap();
        let unpacked = folder.path().join(name);
        offshoot_export::archive::unpack(&bundle, &unpacked, None, &mut |_| {}).unwrap();
        let again = folder.path().join("again.offshoot");
        let options = offshoot_export::ImportOptions { overwrite: true, ..Default::default() };
        offshoot_export::import(&unpacked, &again, &options, &mut |_| {}).unwrap();
        assert!(std::fs::read(&bundle).unwrap() == std::fs::read(&again).unwrap(), "{name}");
        assert_eq!(open(&unpacked).digest(), open(&bundle).digest());

        let manifest = unpacked.join("manifest.json");
        let text = std::fs::read_to_string(&manifest).unwrap();
        for (from, to, says) in [
            ("\"height\": 6", "\"height\": 7", "`pixels`, uint8 [?, 7, 5, 3]"),
            ("\"length\": 20", "\"length\": 10", "`signals`, float32 [?, 3, 10]"),
            ("\"embedding_size\": 8", "\"embedding_size\": 9", "float32 [batch, 9]"),
        ] {
            if !text.contains(from) {
                continue;
            }
            std::fs::write(&manifest, text.replace(from, to)).unwrap();
            let error = offshoot_export::import(&unpacked, &again, &options, &mut |_| {});
            let error = error.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}

#[test]
fn a_head_fused_with_its_encoder_reads_the_same_inputs() {
    use offshoot::adapters::{Classes, EncoderTag, HeadFile, HeadKind};
    use offshoot_export::graph::{ElementType, read::read};
    let folder = tempfile::tempdir().unwrap();
    let bundle = senses::image_bundle(folder.path(), "images");
    let encoder = open(&bundle);
    let x = encoder.embed_images(&images(6)).unwrap().into_vectors();
    let (classes, y) = Classes::from_labels(&["a", "b", "a", "b", "a", "b"]).unwrap();
    let tag = EncoderTag {
        digest: encoder.digest().into(),
        name: "images".into(),
        dimensions: WIDTH,
        prompt: None,
    };
    let head = HeadFile::new(tag, HeadKind::Ridge.fit(x.view(), &y, classes).unwrap(), &y);
    let output = folder.path().join("fused.onnx");
    let options = offshoot_export::FuseOptions::default();
    offshoot_export::fuse(&bundle, &head, &output, &options, &mut |_| {}).unwrap();
    let graph = read(&output).unwrap().graph;
    let [pixels] = graph.inputs() else { panic!("one input") };
    assert_eq!(graph.value_name(*pixels), "pixels");
    assert_eq!(graph.tensor_type(*pixels).unwrap().element, ElementType::Uint8);
    let outputs: Vec<&str> = graph.outputs().iter().map(|&v| graph.value_name(v)).collect();
    for name in ["label", "label_index", "probabilities", "embedding"] {
        assert!(outputs.contains(&name), "{outputs:?}");
    }
}
