//! What opening costs: time, private memory, and memory that processes share.
//!
//! ```text
//! cargo build --release -p offshoot-benches -p offshoot-cli
//! target/release/prepare
//! target/release/footprint
//! ```

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use offshoot::{Encoder, Engine, OpenOptions};
use offshoot_benches::{TEXT_OF_32_TOKENS, median, minilm, seconds};
use offshoot_export::graph::Lowering;
use offshoot_tests::process::memory;
use ort::session::Session;

/// Processes that have the same encoder open.
const PROCESSES: usize = 20;
const MB: f64 = 1e6;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[1..] {
        [] => table(),
        [role, path] => hold(role, Path::new(path)),
        _ => eprintln!("usage: footprint"),
    }
}

/// Opens an encoder, embeds one text, says so and waits to be ended.
fn hold(role: &str, path: &Path) {
    let _kept: Box<dyn std::any::Any> = match role {
        "mapped" => {
            let encoder = Encoder::open(path).expect("open");
            encoder.embed(&[TEXT_OF_32_TOKENS]).expect("embed");
            Box::new(encoder)
        }
        _ => {
            let engine = Engine::load().expect("ONNX Runtime");
            let session = Session::builder(engine.environment())
                .and_then(|mut b| b.commit_from_file(path))
                .expect("open the graph");
            Box::new(session)
        }
    };
    println!("ready");
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn start(role: &str, path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .arg(role)
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start a process");
    let output = child.stdout.as_mut().expect("its output");
    BufReader::new(output).read_line(&mut String::new()).expect("wait until it is ready");
    child
}

/// Private and proportional memory of processes that all have `path` open.
fn together(role: &str, path: &Path, count: usize) -> (f64, f64) {
    let mut children: Vec<Child> = (0..count).map(|_| start(role, path)).collect();
    let all: Vec<_> = children.iter().map(|child| memory(child.id())).collect();
    for child in &mut children {
        drop(child.stdin.take());
        let _ = child.wait();
    }
    let anonymous = all.iter().map(|m| m.anonymous as f64).sum::<f64>() / count as f64;
    let proportional: f64 = all.iter().map(|m| m.proportional as f64).sum();
    (anonymous / MB, proportional / MB)
}

fn table() {
    let bundle = minilm(Lowering::OnnxRuntime);
    // Made now, so that it is there for everything below.
    drop(Encoder::open(&bundle).expect("open"));

    println!("| what | measured |");
    println!("| --- | --- |");
    let open = seconds(30, || drop(Encoder::open(&bundle).expect("open")));
    println!(
        "| open a bundle: session and tokenizer, cache present | {:.1} ms |",
        median(open) * 1e3
    );

    let program = std::env::current_exe().expect("this program").with_file_name("offshoot");
    if program.exists() {
        let once = |arguments: &[&str]| {
            let status = Command::new(&program)
                .arg("embed")
                .arg(&bundle)
                .args(arguments)
                .stdout(Stdio::null())
                .status();
            assert!(status.expect("run offshoot").success());
        };
        let text = ["--one", "a text to embed"];
        once(&text);
        let all = median(seconds(30, || once(&text)));
        println!("| `offshoot embed` of one text, start to exit | {:.1} ms |", all * 1e3);
    }
    let bytes = offshoot::bundle::Bundle::open(&bundle).expect("open");
    let json = bytes.read(offshoot::bundle::TOKENIZER).expect("read");
    let config = bytes.manifest().text.clone().expect("text");
    let tokenizer = seconds(30, || {
        drop(offshoot::Tokenizer::from_bytes(&json, &config, &bundle).expect("tokenizer"));
    });
    println!("| of which the tokenizer, beside the session | {:.1} ms |", median(tokenizer) * 1e3);

    let (anonymous, _) = together("mapped", &bundle, 1);
    println!("| private (anonymous) memory after the first embedding | {anonymous:.1} MB |");
    let (each, total) = together("mapped", &bundle, PROCESSES);
    println!(
        "| {PROCESSES} processes, mapped: private each, proportional in all | {each:.1} MB, \
         {total:.0} MB |"
    );
    // What `prepare` unpacked: the same weights, ONNX Runtime's default options.
    let plain = minilm(Lowering::Standard).with_extension("").join("model.onnx");
    let (each, total) = together("plain", &plain, PROCESSES);
    println!(
        "| {PROCESSES} processes, a session with default options each: private each, proportional in all | \
         {each:.1} MB, {total:.0} MB |"
    );
    ratchet(&bundle);
}

/// Memory before and after the largest call that a user makes.
fn ratchet(bundle: &Path) {
    let encoder = OpenOptions::new().open(bundle).expect("open");
    let short = [TEXT_OF_32_TOKENS];
    encoder.embed(&short).expect("embed");
    // Several batches, so that every lane is open.
    encoder.embed(&vec!["word ".repeat(300); 4]).expect("embed");
    let now = || memory(std::process::id()).anonymous as f64 / MB;
    let before = now();
    encoder.embed(&vec!["word ".repeat(600); 256]).expect("embed");
    encoder.embed(&short).expect("embed");
    let after = now();
    encoder.unload();
    println!(
        "| private memory before and after 256 texts of 512 tokens and a short one | \
         {before:.1} MB, {after:.1} MB |"
    );
    println!("| and after `unload` | {:.1} MB |", now());
}
