//! Published clients, unchanged, where they can be installed.

use std::path::Path;
use std::process::Command;

use crate::client::Service;
use crate::installed::{Script, done, python};

/// Each client of Python and what is installed for it.
const PYTHON: [&[&str]; 3] = [
    &["openai==3.57.0", "huggingface_hub==2.4.0", "numpy==2.4.0"],
    &["langchain-openai==1.7.4", "langchain-core==1.8.3", "numpy==2.4.0"],
    &[
        "llama-index-embeddings-openai==0.7.0",
        "llama-index-core==0.14.25",
        "openai==3.57.0",
        "numpy==2.4.0",
    ],
];

/// Compares clients of Python with a plain request.
fn agree(packages: &[&str], clients: &[&str]) {
    let python = match python(packages) {
        Ok(python) => python,
        Err(reason) => {
            eprintln!("not tested, since the Python clients cannot be installed: {reason}");
            return;
        }
    };
    let service = Service::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/check.py");
    let mut command = Command::new(python);
    command.arg(script).arg(format!("http://{}", service.address)).arg("tiny");
    // No proxy stands before the service, which gets no token of anyone.
    command.env("NO_PROXY", "127.0.0.1").env("HF_HUB_DISABLE_TELEMETRY", "1");
    command.env("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1").env_remove("HF_TOKEN");
    let output = done(&mut command).unwrap_or_else(|reason| panic!("{reason}"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    for client in clients {
        assert!(told.contains(&format!("{client} agrees")), "{told}");
    }
}

#[test]
fn clients_of_openai_and_hugging_face_get_the_vectors_of_a_plain_request() {
    agree(PYTHON[0], &["openai", "huggingface_hub"]);
}

#[test]
fn langchain_gets_the_vectors_of_a_plain_request() {
    agree(PYTHON[1], &["langchain_openai"]);
}

#[test]
fn llama_index_gets_the_vectors_of_a_plain_request() {
    agree(PYTHON[2], &["llama_index"]);
}

#[test]
fn the_client_of_openai_for_javascript_gets_the_vectors_of_a_plain_request() {
    let script = match Script::new("check.mjs", &["openai@6.49.0"]) {
        Ok(script) => script,
        Err(reason) => {
            eprintln!("not tested, since the client cannot be installed: {reason}");
            return;
        }
    };
    let service = Service::start();
    let mut node = script.node();
    node.arg(format!("http://{}", service.address)).arg("tiny").env("NO_PROXY", "127.0.0.1");
    let output = done(&mut node).unwrap_or_else(|reason| panic!("{reason}"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("openai agrees"));
}
