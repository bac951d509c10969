//! Bundles as files: layout, damage, unpacking and packing again.

mod published;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offshoot::bundle::{Bundle, MANIFEST};
use offshoot_export::archive::{BundleWriter, unpack};
use offshoot_export::graph::Lowering;
use offshoot_export::{Error, ImportOptions, import};
use published::{Copy, Expected, lowered, open};

#[test]
fn entries_are_stored_and_aligned_and_carry_the_folder_s_files() {
    let copy = Copy::of("joined");
    let imported = copy.import().unwrap();
    let bundle = Bundle::open(copy.bundle()).unwrap();
    bundle.verify(&mut |_| {}).unwrap();
    assert_eq!(bundle.digest(), imported.digest);
    assert_eq!(*bundle.manifest(), imported.manifest);
    assert_eq!(std::fs::metadata(copy.bundle()).unwrap().len(), imported.size);
    for (name, offset, _) in bundle.entries() {
        assert_eq!(offset % 4096, 0, "{name} lies at {offset}");
    }
    let names: Vec<&str> = bundle.entries().map(|(name, ..)| name).collect();
    assert_eq!(
        names,
        [
            "1_Pooling/config.json",
            "2_Dense/config.json",
            "3_Normalize/config.json",
            "config.json",
            "config_sentence_transformers.json",
            "manifest.json",
            "model.onnx",
            "modules.json",
            "sentence_bert_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "weights.bin",
        ]
    );
    let mut archive = zip::ZipArchive::new(std::fs::File::open(copy.bundle()).unwrap()).unwrap();
    let last = archive.len() - 1;
    assert_eq!(archive.by_index(last).unwrap().name().unwrap(), MANIFEST);
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        assert_eq!(entry.compression(), zip::CompressionMethod::Stored);
        assert_eq!(entry.last_modified(), Some(zip::DateTime::default()));
        // Reading to the end checks the entry's CRC.
        entry.read_to_end(&mut Vec::new()).unwrap();
    }
}

#[test]
fn an_unpacked_bundle_opens_and_packs_to_the_same_bytes() {
    for (name, lowering) in [
        ("joined", Lowering::OnnxRuntime),
        ("mean", Lowering::Standard),
        ("onnx_external", Lowering::Standard),
    ] {
        let copy = Copy::of(name);
        copy.import_with(&lowered(lowering)).unwrap();
        let folder = copy.folder().with_file_name("unpacked");
        let mut last = None;
        unpack(&copy.bundle(), &folder, None, &mut |step| last = Some(step)).unwrap();
        let last = last.unwrap();
        assert_eq!(last.done_bytes, last.total_bytes);
        for carried in ["config.json", "modules.json", "1_Pooling/config.json"] {
            let (a, b) = (std::fs::read(copy.path(carried)), std::fs::read(folder.join(carried)));
            assert_eq!(a.unwrap(), b.unwrap(), "{carried}");
        }
        Expected::read(name).check(&open(&folder));
        let again = folder.with_file_name("again.offshoot");
        let imported = import(&folder, &again, &ImportOptions::default(), &mut |_| {}).unwrap();
        assert_eq!(imported.digest, Bundle::open(copy.bundle()).unwrap().digest());
        assert!(std::fs::read(copy.bundle()).unwrap() == std::fs::read(&again).unwrap(), "{name}");
        assert_eq!(copy.names(), ["again.offshoot", "model", "model.offshoot", "unpacked"]);
    }
}

#[test]
fn an_unpacked_folder_that_was_changed_is_checked() {
    let unpacked = || {
        let copy = Copy::of("mean");
        copy.import().unwrap();
        std::fs::remove_dir_all(copy.folder()).unwrap();
        unpack(&copy.bundle(), &copy.folder(), None, &mut |_| {}).unwrap();
        std::fs::remove_file(copy.bundle()).unwrap();
        copy
    };
    for (file, from, to, says) in [
        (MANIFEST, r#""embedding_size": 16"#, r#""embedding_size": 17"#, "[batch, 17]"),
        (MANIFEST, r#""format": 1"#, r#""format": 7"#, "format is 7"),
        (MANIFEST, r#""config.json": {"#, r#""../config.json": {"#, "../config.json"),
        ("tokenizer.json", "WordPiece", "WordPieces", "tokenizer.json: it cannot be read"),
    ] {
        let copy = unpacked();
        copy.edit(file, from, to);
        let message = copy.refusal();
        assert!(message.contains(says), "{message}");
    }
    let copy = unpacked();
    let weights = std::fs::File::options().write(true).open(copy.path("weights.bin")).unwrap();
    weights.set_len(5000).unwrap();
    let message = copy.refusal();
    assert!(message.contains("tensor `") && message.contains("the file has 5000"), "{message}");
    let copy = unpacked();
    let renamed =
        ImportOptions { name: Some("new".into()), max_tokens: Some(8), ..Default::default() };
    let manifest = copy.import_with(&renamed).unwrap().manifest;
    assert_eq!((manifest.name.as_str(), manifest.text.unwrap().max_tokens), ("new", 8));
}

#[test]
fn damage_is_found_while_unpacking_and_nothing_is_left() {
    let copy = Copy::of("plain");
    copy.import().unwrap();
    let places: Vec<(String, u64)> = Bundle::open(copy.bundle())
        .unwrap()
        .entries()
        .filter(|(name, ..)| *name != MANIFEST)
        .map(|(name, offset, size)| (name.to_owned(), offset + size / 2))
        .collect();
    let whole = std::fs::read(copy.bundle()).unwrap();
    let folder = copy.folder().with_file_name("unpacked");
    for (name, at) in places {
        let mut damaged = whole.clone();
        damaged[usize::try_from(at).unwrap()] ^= 1;
        std::fs::write(copy.bundle(), damaged).unwrap();
        let message = unpack(&copy.bundle(), &folder, None, &mut |_| {}).unwrap_err().to_string();
        assert!(message.contains(&name) && message.contains("SHA-256"), "{message}");
        assert_eq!(copy.names(), ["model", "model.offshoot"]);
    }
}

#[test]
fn unpacking_needs_a_free_name_and_can_be_interrupted() {
    let copy = Copy::of("plain");
    copy.import().unwrap();
    let message =
        unpack(&copy.bundle(), &copy.folder(), None, &mut |_| {}).unwrap_err().to_string();
    assert!(message.contains("exists already"), "{message}");
    let folder = copy.folder().with_file_name("unpacked");
    let stop = Arc::new(AtomicBool::new(true));
    let result = unpack(&copy.bundle(), &folder, Some(stop), &mut |_| {});
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    assert_eq!(copy.names(), ["model", "model.offshoot"]);
}

#[test]
fn the_writer_refuses_what_a_reader_would() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.offshoot");
    let mut writer = BundleWriter::create(&path, false).unwrap();
    writer.add_bytes("model.onnx", b"graph").unwrap();
    for name in ["model.onnx", MANIFEST, "../up", "/root", "a\\b", ""] {
        assert!(writer.add_bytes(name, b"").is_err(), "{name}");
    }
    let short = writer.add("short", 5, |_| Ok(())).unwrap_err().to_string();
    assert!(short.contains("got 0 bytes where 5"), "{short}");
    let long = writer.add("long", 2, |out| {
        out.write_all(b"three").map_err(|source| Error::Io {
            action: "write",
            path: "x".into(),
            source,
        })
    });
    assert!(long.unwrap_err().to_string().contains("x.offshoot"));
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let nowhere = folder.path().join("no/such/folder/x.offshoot");
    assert!(matches!(BundleWriter::create(&nowhere, false), Err(Error::Io { .. })));
}

/// Another program may write the target while an import runs: theirs stays.
#[test]
fn a_target_that_appears_meanwhile_stays() {
    let copy = Copy::of("plain");
    let result = import(&copy.folder(), &copy.bundle(), &ImportOptions::default(), &mut |_| {
        if !copy.bundle().exists() {
            std::fs::write(copy.bundle(), "theirs").unwrap();
        }
    });
    assert!(result.unwrap_err().to_string().contains("exists already"));
    assert_eq!(std::fs::read(copy.bundle()).unwrap(), b"theirs");
    assert_eq!(copy.names(), ["model", "model.offshoot"]);
}
