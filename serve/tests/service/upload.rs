//! Learners that were taught elsewhere: taken in whole, or not at all.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use offshoot::adapters::EncoderTag;
use offshoot::learner::{ExampleFilter, NewExample, Store, StoreInfo};
use offshoot_serve::new_key;
use serde_json::{Value, json};

use crate::client::{Answer, Service, request};

const BYTES: [(&str, &str); 1] = [("content-type", "application/octet-stream")];

/// Makes and teaches a learner, with a history, and gives its file.
fn taught(service: &Service, id: &str) -> Vec<u8> {
    service.post("/v1/learners", &json!({"id": id, "model": "tiny"})).good();
    let example = |text: &str, label: &str| json!({"text": text, "label": label, "source": "s"});
    let examples = json!({"examples": [example("good film", "film"), example("great movie", "film"),
        example("the plot was good", "film"), example("invoice due", "mail"),
        example("win money", "mail"), example("money offer today", "mail"), {"text": "a dull day"}]});
    let ids = service.post(&format!("/v1/learners/{id}/teach"), &examples).good()["ids"].clone();
    let relabel = json!({"example": ids[0], "label": "praise"});
    service.post(&format!("/v1/learners/{id}/relabel"), &relabel).good();
    service.get(&format!("/v1/learners/{id}/export/learner")).body
}

fn upload(service: &Service, id: &str, bytes: &[u8]) -> Answer {
    service.send("POST", &format!("/v1/learners/{id}/import"), &BYTES, bytes)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all
}

#[test]
fn a_learner_of_another_service_says_and_remembers_the_same() {
    let (one, two) = (Service::start(), Service::start());
    let file = taught(&one, "mine");
    let made = upload(&two, "theirs", &file);
    let told = made.good();
    assert_eq!((made.status, &told["id"], &told["model"]), (201, &json!("theirs"), &json!("tiny")));
    let without_id = |mut learner: Value| {
        learner.as_object_mut().unwrap().remove("id");
        learner
    };
    assert_eq!(without_id(told), without_id(one.get("/v1/learners/mine").good()));

    let body = json!({"inputs": ["good movie", "money offer", "a film", "due today", "x y"],
                      "coverage": 0.8, "false_accepts": 0.2});
    let ask = |service: &Service, id: &str| {
        service.post(&format!("/v1/learners/{id}/predict"), &body).good()
    };
    assert_eq!(ask(&two, "theirs"), ask(&one, "mine"));
    for what in ["examples", "suspects"] {
        let of =
            |service: &Service, id: &str| service.get(&format!("/v1/learners/{id}/{what}")).good();
        assert_eq!(of(&two, "theirs"), of(&one, "mine"), "{what}");
    }
    // A second one is another learner, and the first is not touched.
    assert_eq!(upload(&two, "theirs", &file).status, 409);
    upload(&two, "again", &file).good();
    for (service, id) in [(&one, "mine"), (&two, "theirs")] {
        let undone = service.post(&format!("/v1/learners/{id}/undo"), &json!({})).good();
        assert_eq!((&undone["undone"], &undone["examples"]), (&json!("relabel"), &json!(1)));
    }
    assert_eq!(ask(&two, "theirs"), ask(&one, "mine"));
    assert_ne!(ask(&two, "again"), ask(&two, "theirs"));

    let two = Service::with(two.stop(), |_| {});
    assert_eq!(ask(&two, "theirs"), ask(&one, "mine"));
    let folder = two.folder.path().join("learners");
    let mut left: Vec<PathBuf> =
        files(&folder).iter().map(|path| path.strip_prefix(&folder).unwrap().into()).collect();
    left.sort();
    assert_eq!(left, ["local/again.learner", "local/theirs.learner"].map(PathBuf::from));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

/// A learner of the tiny encoder that only a program of ours could have made otherwise.
fn odd(service: &Service, change: impl FnOnce(&mut StoreInfo)) -> Vec<u8> {
    let digest = offshoot::bundle::Bundle::open(service.bundle("tiny")).unwrap().digest().into();
    let encoder = EncoderTag { digest, name: "tiny".into(), dimensions: 3, prompt: None };
    let mut info = StoreInfo { encoder, head: "auto".into(), keeps_text: true };
    change(&mut info);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.learner");
    let row = vec![0.5; info.encoder.dimensions];
    drop(Store::create(&path, &info, [NewExample::new(row, "a")]).unwrap());
    std::fs::read(path).unwrap()
}

#[test]
fn what_is_no_learner_of_an_encoder_here_is_refused_and_leaves_nothing() {
    let service = Service::start();
    let good = taught(&service, "a");
    let other = tempfile::tempdir().unwrap();
    offshoot_tests::tiny::bundle(other.path(), "tiny", 2);
    offshoot_tests::senses::image_bundle(other.path(), "images");
    offshoot_tests::senses::signal_bundle(other.path(), "signals");
    let stranger = taught(&Service::with(other, |_| {}), "a");
    // The version is a number at byte 60 of SQLite's header.
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99u32.to_be_bytes());
    let mut scrambled = good.clone();
    let middle = good.len() / 2;
    scrambled[middle..middle + 2000].fill(0xa5);
    // An index of other columns than its definition says is found by its definition.
    let mut renamed = good.clone();
    let at = good.windows(13).position(|part| part == b"example_label").unwrap();
    renamed[at..at + 13].copy_from_slice(b"example_lapel");
    let half = &good[..good.len() / 2];
    let wide = odd(&service, |info| info.encoder.dimensions = 1000);
    let headless = odd(&service, |info| info.head = "nonsense".into());
    let before = files(&service.folder.path().join("learners"));
    for (what, bytes, status, says) in [
        ("another encoder", &stranger[..], 409, "serve its bundle"),
        ("a newer version", &newer, 400, "version 99"),
        ("nothing", b"", 400, "something else"),
        ("a text", b"no learner at all", 400, "something else"),
        ("a half", half, 400, "damaged"),
        ("its first page", &good[..4096], 400, "damaged"),
        ("scrambled bytes", &scrambled, 400, "damaged"),
        ("other tables", &renamed, 400, ""),
        ("too many dimensions", &wide, 400, "1000 dimensions"),
        ("an unknown head", &headless, 400, "nonsense"),
    ] {
        let answer = upload(&service, "b", bytes);
        let told = answer.json();
        assert_eq!(answer.status, status, "{what}: {told}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{what}: {detail}");
        assert!(!detail.contains(service.folder.path().to_str().unwrap()), "{what}: {detail}");
        assert_eq!(files(&service.folder.path().join("learners")), before, "{what}");
        assert_eq!(service.get("/v1/learners/b").status, 404, "{what}");
    }
    let path = "/v1/learners/b/import";
    assert_eq!(service.send("POST", path, &[], &good).status, 415);
    assert_eq!(upload(&service, "B", &good).status, 400);
    assert_eq!(upload(&service, "a", &good).status, 409);
    assert_eq!(files(&service.folder.path().join("learners")), before);
    upload(&service, "b", &good).good();
}

#[test]
fn what_is_too_large_or_breaks_off_leaves_nothing() {
    let service = Service::with(tempfile::tempdir().unwrap(), |config| {
        config.max_learner_bytes = 1 << 20;
    });
    let folder = service.folder.path().join("learners");
    let good = taught(&service, "a");
    let before = files(&folder);
    let large = vec![7; (1 << 20) + 1];
    let answer = upload(&service, "b", &large);
    assert!(answer.status == 413 && answer.text().contains("1048576"), "{}", answer.text());
    // Packed it is small.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&large).unwrap();
    let packed = packer.finish().unwrap();
    assert!(packed.len() < 100_000);
    let headers = [BYTES[0], ("content-encoding", "gzip")];
    let path = "/v1/learners/b/import";
    let answer = request(service.address, "POST", path, &headers, &packed).unwrap();
    assert_eq!(answer.status, 413);

    let mut stream = std::net::TcpStream::connect(service.address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        service.address,
        BYTES[0].1,
        good.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&good[..good.len() - 1]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // Answered or not, the connection ends.
    let _ = stream.read_to_end(&mut Vec::new());
    // What was received is removed after the answer.
    let start = std::time::Instant::now();
    while std::fs::read_dir(&folder).unwrap().count() > 1 {
        assert!(start.elapsed().as_secs() < 30, "{:?}", files(&folder));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(files(&folder), before);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&good).unwrap();
    service.send("POST", path, &headers, &packer.finish().unwrap()).good();
}

#[test]
fn it_belongs_to_the_key_that_sent_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let keys = ["a", "b"].map(|name| format!("Bearer {}", new_key(&file, name).unwrap()));
    let learner = taught(&Service::start(), "mine");
    let service = Service::with(folder, |config| config.keys = Some(file));
    let path = "/v1/learners/mine";
    let import = format!("{path}/import");
    assert_eq!(service.send("POST", &import, &BYTES, &learner).status, 401);
    let headers = |key| [BYTES[0], ("authorization", key)];
    service.send("POST", &import, &headers(&keys[0]), &learner).good();
    assert_eq!(service.send("GET", path, &headers(&keys[0]), b"").status, 200);
    assert_eq!(service.send("GET", path, &headers(&keys[1]), b"").status, 404);
    service.send("POST", &import, &headers(&keys[1]), &learner).good();
    assert_eq!(service.send("DELETE", path, &headers(&keys[1]), b"").status, 204);
    assert_eq!(service.send("GET", path, &headers(&keys[0]), b"").status, 200);
}

#[test]
fn a_file_that_was_copied_from_a_device_is_taken_in() {
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phone.learner");
    let encoder = offshoot_tests::open(&service.bundle("tiny"));
    let options = offshoot::LearnerOptions::default();
    let learner = offshoot::Learner::create(&path, &encoder, &options).unwrap();
    for (text, label) in [("good film", "film"), ("win money", "mail"), ("great movie", "film")] {
        learner.teach(text, label).unwrap();
    }
    let expected = learner.predict("a good movie").unwrap();
    let kept = learner.with_store(|store| store.examples(&ExampleFilter::default()).count());
    drop(learner);
    let told = upload(&service, "phone", &std::fs::read(&path).unwrap()).good();
    assert_eq!(told["examples"], kept);
    let body = json!({"inputs": ["a good movie"]});
    let said = service.post("/v1/learners/phone/predict", &body).good();
    let said = &said["predictions"][0];
    assert_eq!(said["label"], expected.label);
    for (class, p) in &expected.probabilities {
        assert_eq!(said["probabilities"][class].as_f64().unwrap(), *p);
    }
}
