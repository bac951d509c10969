//! What the program is run in: caches, disks, pipes, libraries, shells.

use std::io::Read;
use std::process::Stdio;

use crate::support::{Workplace, bundle, environment, lines, stderr, stdout};

#[test]
fn without_a_cache_folder_it_works_and_says_so_once() {
    let place = Workplace::new();
    place.write("file", "");
    let mut command = place.offshoot(&["embed", bundle(), "--one", "fresh"]);
    for variable in ["OFFSHOOT_CACHE", "XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"] {
        command.env_remove(variable);
    }
    let none = command.assert().success();
    assert_eq!(stderr(&none).matches("note: the weights could not be kept").count(), 1);

    let args = ["embed", bundle(), "--one", "fresh", "--cache"];
    let unusable = place.offshoot(&[&args[..], &["file/cache"]].concat()).assert().success();
    assert_eq!(stderr(&unusable).matches("note: ").count(), 1, "{}", stderr(&unusable));
    let off = place.offshoot(&[&args[..], &["off"]].concat()).assert().success();
    assert_eq!(stderr(&off), "");
    let made = place.offshoot(&[&args[..], &["cache"]].concat()).assert().success();
    let found = place.offshoot(&[&args[..], &["cache"]].concat()).assert().success();
    assert!(place.path("cache/prepared").is_dir() && stderr(&made).is_empty());
    assert_eq!(stdout(&made), stdout(&found));
}

#[test]
fn a_missing_library_is_an_error_that_says_what_to_do() {
    let place = Workplace::new();
    let run = place
        .offshoot(&["embed", bundle(), "--one", "fresh"])
        .env("ORT_DYLIB_PATH", place.path("none.so"))
        .assert()
        .code(5);
    assert!(stderr(&run).contains("ORT_DYLIB_PATH"), "{}", stderr(&run));
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_the_work() {
    let place = Workplace::new();
    place.examples("e.csv", 2);
    place.write("file", "");
    let mut folders = vec!["no-such-folder", "file"];
    // Nobody can make a file there, root included.
    if cfg!(target_os = "linux") {
        folders.push("/proc");
    }
    for folder in folders {
        let (npy, head, csv) =
            (format!("{folder}/x.npy"), format!("{folder}/x.head"), format!("{folder}/x.csv"));
        for args in [
            &["embed", bundle(), "e.csv", "-o", &npy][..],
            &["learn", bundle(), "e.csv", "-o", &head],
        ] {
            let run = place.offshoot(args).assert().code(5);
            assert!(stderr(&run).contains(folder), "{args:?}: {}", stderr(&run));
        }
        place.offshoot(&["predict", bundle(), "x.head", "e.csv", "-o", &csv]).assert().code(5);
    }
    assert_eq!(place.names(), ["e.csv", "file"]);
}

#[cfg(unix)]
#[test]
fn a_device_is_never_replaced_by_a_file() {
    let place = Workplace::new();
    place.examples("e.csv", 2);
    let learn = ["learn", bundle(), "e.csv", "-o"];
    let run = place.offshoot(&[&learn[..], &["/dev/null"]].concat()).assert().code(5);
    assert!(stderr(&run).contains("/dev/null"), "{}", stderr(&run));
    let embed = ["embed", bundle(), "e.csv", "--output-format", "npy", "-o", "/dev/null"];
    place.offshoot(&embed).assert().code(5);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_on_standard_output() {
    let place = Workplace::new();
    for args in
        [&["embed", bundle(), "--one", "fresh"][..], &["info", bundle()], &["completions", "bash"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let run = place.process(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(5), "{args:?}: {said}");
        assert!(said.contains("cannot write standard output") && said.contains("free some space"));
    }
}

/// A limit on the size of files stands for a disk that is full half-way.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_loses_nothing() {
    let place = Workplace::new();
    place.write("t.txt", lines(4000));
    // The cache is made where there is room.
    place.offshoot(&["embed", bundle(), "t.txt", "-o", "whole.npy"]).assert().success();
    let embed = ["embed", bundle(), "t.txt", "-o", "t.npy"];
    let script =
        format!("trap '' XFSZ; ulimit -f 200; exec {} \"$@\"", env!("CARGO_BIN_EXE_offshoot"));
    let run = std::process::Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg("sh")
        .args(embed)
        .envs(environment())
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(5), "{said}");
    assert!(!place.path("t.npy").exists());
    place.offshoot(&[&embed[..], &["--resume"]].concat()).assert().success();
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("t.npy") == read("whole.npy"));
    assert_eq!(place.names(), ["t.npy", "t.txt", "whole.npy"]);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let place = Workplace::new();
    place.write("t.txt", lines(3000));
    for args in [&["embed", bundle(), "t.txt"][..], &["completions", "zsh"]] {
        let mut run =
            place.process(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 20];
        run.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let run = run.wait_with_output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{args:?}");
        assert!(run.stderr.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn help_completions_and_manual_pages_are_there() {
    let place = Workplace::new();
    let help = stdout(&place.offshoot(&["--help"]).assert().success());
    assert!(help.contains("Exit codes:") && help.contains("quickstart"));
    for command in ["quickstart", "import", "embed", "learn", "predict", "evaluate"] {
        let help = stdout(&place.offshoot(&["help", command]).assert().success());
        assert!(help.contains(&format!("offshoot {command}")), "{help}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&place.offshoot(&["completions", shell]).assert().success());
        assert!(script.contains("nearest-mean") || script.contains("--head"), "{shell}");
    }
    place.offshoot(&["man", "pages"]).assert().success();
    let page = std::fs::read_to_string(place.path("pages/offshoot-embed.1")).unwrap();
    assert!(page.contains(".TH offshoot-embed 1") && page.contains("Examples"), "{page}");
    assert!(place.path("pages/offshoot.1").is_file());
    place.offshoot(&[]).assert().code(2);
    place.offshoot(&["fly"]).assert().code(2);
}

#[test]
fn session_options_reach_the_engine() {
    let place = Workplace::new();
    let args = ["embed", bundle(), "--one", "fresh", "--threads", "2"];
    let with =
        |option| place.offshoot(&[&args[..], &["--session-option", option]].concat()).assert();
    with("session.set_denormal_as_zero=1").success();
    // The engine itself refuses what it cannot read, so it was told.
    let refused = with("session.dynamic_block_base=four").code(1);
    assert!(stderr(&refused).starts_with("error: ONNX Runtime failed to"), "{}", stderr(&refused));
}
