//! Bundles that are cut short, flipped, hostile, replaced or in odd places, and
//! caches that cannot be used.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use offshoot::bundle::Bundle;
use offshoot::{CacheState, Encoder, Error, OpenOptions, WeightCache};
use offshoot_tests::tiny;

/// A folder with one tiny bundle.
fn one() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = tiny::bundle(folder.path(), "tiny", 1);
    (folder, bundle)
}

fn open(bundle: &Path, cache: &Path) -> offshoot::Result<Encoder> {
    offshoot_tests::onnx_runtime();
    OpenOptions::new().cache(WeightCache::Folder(cache.to_owned())).open(bundle)
}

fn vector(encoder: &Encoder) -> Vec<f32> {
    encoder.embed(&["a good film"]).unwrap().vectors().iter().copied().collect()
}

#[test]
fn a_bundle_cut_short_anywhere_is_refused() {
    let (folder, bundle) = one();
    let bytes = fs::read(&bundle).unwrap();
    let cut = folder.path().join("cut.offshoot");
    for part in 0..60 {
        fs::write(&cut, &bytes[..bytes.len() * part / 60]).unwrap();
        let error = Bundle::open(&cut).unwrap_err().to_string();
        assert!(error.contains("cut.offshoot"), "{error}");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_or_harmless() {
    let (folder, bundle) = one();
    let bytes = fs::read(&bundle).unwrap();
    let flipped = folder.path().join("flipped.offshoot");
    let digest = Bundle::open(&bundle).unwrap().digest().to_owned();
    let mut found = 0;
    let step = (bytes.len() / 400).max(1) | 1;
    for at in (0..bytes.len()).step_by(step) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&flipped, &damaged).unwrap();
        let verified = Bundle::open(&flipped).and_then(|bundle| {
            bundle.verify(&mut |_| {})?;
            Ok(bundle)
        });
        match verified {
            // The manifest's own digest is the identity: another one is another encoder.
            Ok(same) if same.digest() == digest => {}
            Ok(_) => found += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                found += 1;
            }
        }
    }
    assert!(found > 0);
    // Every bit of every entry is covered.
    let whole = Bundle::open(&bundle).unwrap();
    for (name, offset, size) in whole.entries() {
        let mut damaged = bytes.clone();
        damaged[usize::try_from(offset + size / 2).unwrap()] ^= 0x10;
        fs::write(&flipped, &damaged).unwrap();
        let result = Bundle::open(&flipped).and_then(|bundle| bundle.verify(&mut |_| {}));
        if name != "manifest.json" {
            let error = result.unwrap_err();
            assert!(matches!(&error, Error::Digest { entry, .. } if entry == name), "{error}");
        }
    }
}

#[test]
fn damaged_weights_are_refused_at_the_first_open() {
    let (folder, bundle) = one();
    let whole = Bundle::open(&bundle).unwrap();
    let (_, offset, _) = whole.entries().find(|(name, ..)| *name == "weights.bin").unwrap();
    let mut bytes = fs::read(&bundle).unwrap();
    bytes[usize::try_from(offset).unwrap() + 5] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let cache = folder.path().join("cache");
    let error = open(&bundle, &cache).unwrap_err().to_string();
    assert!(error.contains("`weights.bin` is damaged"), "{error}");
    let off = OpenOptions::new().cache(WeightCache::Off).open(&bundle).unwrap_err().to_string();
    assert!(off.contains("`weights.bin` is damaged"), "{off}");
}

#[test]
fn files_that_are_not_bundles_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.offshoot");
    for bytes in [&b""[..], b"not a zip", b"PK\x05\x06", &[0; 100_000]] {
        fs::write(&path, bytes).unwrap();
        let error = Bundle::open(&path).unwrap_err().to_string();
        assert!(error.contains("x.offshoot is not a usable encoder bundle"), "{error}");
    }
    assert!(matches!(Bundle::open(folder.path().join("none")), Err(Error::Io { .. })));
    let error = Bundle::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("offshoot import"), "{error}");
}

/// Entries that an archive of a stranger may hold.
#[test]
fn hostile_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.offshoot");
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let write = |entries: &[(&str, &[u8])]| {
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for (name, bytes) in entries {
            archive.start_file(*name, stored).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
        Bundle::open(&path).unwrap_err().to_string()
    };
    assert!(write(&[("other", b"x")]).contains("no entry `manifest.json`"));
    assert!(write(&[("../manifest.json", b"{}")]).contains("leaves its folder"));
    assert!(write(&[("manifest.json", b"{\"format\": 2}")]).contains("use a newer Offshoot"));
    assert!(write(&[("manifest.json", b"[]")]).contains("manifest.json cannot be used"));
    let huge = vec![b' '; 5 << 20];
    assert!(write(&[("manifest.json", &huge)]).contains("more than the 4194304 allowed"));
}

#[test]
fn a_bundle_may_be_replaced_while_it_is_open() {
    let (folder, bundle) = one();
    let cache = folder.path().join("cache");
    let encoder = open(&bundle, &cache).unwrap();
    let before = vector(&encoder);
    let other = tiny::bundle(folder.path(), "other", 2);
    fs::rename(&other, &bundle).unwrap();
    assert_eq!(vector(&encoder), before);
    let replaced = open(&bundle, &cache).unwrap();
    assert_ne!(replaced.digest(), encoder.digest());
    assert_ne!(vector(&replaced), before);
    // Sessions that are opened again still belong to the first bundle.
    encoder.unload();
    assert_eq!(vector(&encoder), before);
}

#[test]
fn without_a_cache_the_bundle_itself_is_mapped_and_says_why() {
    let (folder, bundle) = one();
    let cached = open(&bundle, &folder.path().join("cache")).unwrap();
    assert_eq!(*cached.cache_state(), CacheState::Made);
    let off = OpenOptions::new().cache(WeightCache::Off).open(&bundle).unwrap();
    assert_eq!(*off.cache_state(), CacheState::Off);
    // A file where the folder should be: no folder can be made there.
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, b"").unwrap();
    let unusable = open(&bundle, &blocked).unwrap();
    let CacheState::Unusable(reason) = unusable.cache_state() else {
        panic!("{:?}", unusable.cache_state())
    };
    assert!(reason.contains("blocked"), "{reason}");
    for encoder in [&off, &unusable] {
        let (found, expected) = (vector(encoder), vector(&cached));
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}

#[test]
fn a_cache_that_is_not_whole_is_made_again() {
    let (folder, bundle) = one();
    let cache = folder.path().join("cache");
    let before = vector(&open(&bundle, &cache).unwrap());
    assert_eq!(*open(&bundle, &cache).unwrap().cache_state(), CacheState::Found);
    let prepared = fs::read_dir(cache.join("prepared"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .unwrap();
    for damage in ["complete", "weights.bin", "model.onnx"] {
        let file = prepared.join(damage);
        let length = fs::metadata(&file).unwrap().len();
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length / 2).unwrap();
        let again = open(&bundle, &cache).unwrap();
        assert_eq!(*again.cache_state(), CacheState::Made, "{damage}");
        assert_eq!(vector(&again), before);
    }
}

#[test]
fn a_folder_opens_like_its_bundle() {
    let (folder, bundle) = one();
    let unpacked = folder.path().join("unpacked");
    offshoot_export::archive::unpack(&bundle, &unpacked, None, &mut |_| {}).unwrap();
    let cache = folder.path().join("cache");
    let (from_folder, from_file) =
        (open(&unpacked, &cache).unwrap(), open(&bundle, &cache).unwrap());
    assert_eq!(from_folder.digest(), from_file.digest());
    assert_eq!(vector(&from_folder), vector(&from_file));
    let without = OpenOptions::new().cache(WeightCache::Off).open(&unpacked).unwrap();
    assert!(vector(&without).iter().zip(vector(&from_file)).all(|(a, b)| (a - b).abs() < 1e-6));
}
