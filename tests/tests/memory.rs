//! What an encoder costs: private memory, and memory that processes share.
#![cfg(target_os = "linux")]

use std::path::Path;

use offshoot::{CacheState, OpenOptions};
use offshoot_tests::process::{Memory, Part, memory, role, say, wait};

const MB: u64 = 1_000_000;

/// A weight cache that exists for a bundle.
fn prepare(bundle: &Path) {
    offshoot_tests::open(bundle).close();
}

fn own() -> Memory {
    memory(std::process::id())
}

#[test]
fn a_process_needs_at_most_20_mb_of_its_own() {
    if role().is_some() {
        let encoder = offshoot_tests::open(Path::new(&std::env::var("BUNDLE").unwrap()));
        assert_eq!(*encoder.cache_state(), CacheState::Found);
        encoder.embed(&["a first text of a few words"]).unwrap();
        say(&own().anonymous.to_string());
        return;
    }
    let bundle = offshoot_tests::minilm();
    prepare(bundle);
    let name = "a_process_needs_at_most_20_mb_of_its_own";
    let mut part = Part::start(name, "one", &[("BUNDLE", bundle.to_str().unwrap())]);
    let anonymous: u64 = part.hear().parse().unwrap();
    part.finish();
    // The test program's own harness and its unoptimised code are part of it.
    assert!(anonymous <= 20 * MB, "{anonymous} bytes of anonymous memory");
}

#[test]
fn memory_does_not_ratchet() {
    if role().is_some() {
        let encoder = offshoot_tests::open(Path::new(&std::env::var("BUNDLE").unwrap()));
        let long = "word ".repeat(300);
        encoder.embed(&["short"]).unwrap();
        // Every lane is opened by more than one batch.
        encoder.embed(&[long.as_str(); 8]).unwrap();
        let before = own().anonymous;
        encoder.embed(&[long.as_str(); 48]).unwrap();
        encoder.embed(&["short"]).unwrap();
        let after = own();
        encoder.unload();
        assert!(!encoder.is_loaded());
        let unloaded = own();
        encoder.embed(&["short"]).unwrap();
        let pages = after.proportional.saturating_sub(unloaded.proportional);
        say(&format!("{before} {} {} {pages}", after.anonymous, unloaded.anonymous));
        return;
    }
    let bundle = offshoot_tests::minilm();
    prepare(bundle);
    let mut part =
        Part::start("memory_does_not_ratchet", "one", &[("BUNDLE", bundle.to_str().unwrap())]);
    let figures: Vec<u64> = part.hear().split(' ').map(|n| n.parse().unwrap()).collect();
    part.finish();
    let [before, after, unloaded, pages] = figures[..] else { panic!("{figures:?}") };
    assert!(after <= before + 10 * MB, "{before} bytes before, {after} after");
    assert!(unloaded < after, "{after} bytes of its own before unloading, {unloaded} after");
    // The mapped weights that were in use, 40 MB of layers and more.
    assert!(pages >= 40 * MB, "unloading gave back {pages} bytes");
}

#[test]
fn twenty_processes_share_one_copy_made_by_one_of_them() {
    if role().is_some() {
        let bundle = std::env::var("BUNDLE").unwrap();
        let cache = std::env::var("CACHE").unwrap();
        say("ready");
        wait();
        let encoder = OpenOptions::new()
            .cache(offshoot::WeightCache::Folder(cache.into()))
            .threads(std::num::NonZero::new(1))
            .open(bundle)
            .unwrap();
        let vector = encoder.embed(&["the same text in every process"]).unwrap();
        let bits: Vec<u32> = vector.vectors().iter().map(|v| v.to_bits()).collect();
        let digest = bits.iter().fold(0u64, |h, &b| h.rotate_left(5) ^ u64::from(b));
        say(&format!("{:?} {digest}", encoder.cache_state()));
        wait();
        return;
    }
    let bundle = offshoot_tests::minilm();
    let cache = tempfile::tempdir_in(offshoot_tests::scratch()).unwrap();
    let variables =
        [("BUNDLE", bundle.to_str().unwrap()), ("CACHE", cache.path().to_str().unwrap())];
    let name = "twenty_processes_share_one_copy_made_by_one_of_them";
    let mut parts: Vec<Part> = (0..20).map(|_| Part::start(name, "one", &variables)).collect();
    parts.iter_mut().for_each(|part| assert_eq!(part.hear(), "ready"));
    parts.iter_mut().for_each(Part::go_on);
    let said: Vec<String> = parts.iter_mut().map(Part::hear).collect();
    let made = said.iter().filter(|line| line.starts_with("Made")).count();
    let found = said.iter().filter(|line| line.starts_with("Found")).count();
    assert_eq!((made, found), (1, 19), "{said:?}");
    let digest = |line: &String| line.split(' ').nth(1).unwrap().to_owned();
    assert!(said.iter().all(|line| digest(line) == digest(&said[0])), "{said:?}");

    let total: u64 = parts.iter().map(|part| memory(part.id()).proportional).sum();
    parts.into_iter().for_each(Part::finish);
    let weights: u64 = files(cache.path()).iter().sum();
    assert!(files(cache.path()).len() <= 4, "only the prepared files are left");
    let most = weights + 20 * 15 * MB;
    assert!(total <= most, "{total} bytes in all where {most} are allowed");
}

/// Sizes of all files below a folder.
fn files(folder: &Path) -> Vec<u64> {
    let mut sizes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => sizes.extend(files(&entry.path())),
            metadata => sizes.push(metadata.len()),
        }
    }
    sizes
}
