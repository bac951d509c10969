//! Learners over HTTP: taught, asked, corrected, shared, and kept.

use base64::Engine;
use offshoot::adapters::{HeadFile, StatisticsFile};
use offshoot::learner::{Example, ExampleFilter, Store};
use serde_json::{Value, json};

use crate::client::Service;

const FILMS: [&str; 4] = ["good film", "great movie", "the plot was good", "great actor"];
const MAIL: [&str; 4] = ["invoice due", "win money", "free offer today", "money offer"];

fn teach(service: &Service, id: &str) -> Value {
    let films = FILMS.map(|text| json!({"text": text, "label": "film"}));
    let mail = MAIL.map(|text| json!({"text": text, "label": "mail", "source": "inbox"}));
    let examples: Vec<Value> = films.into_iter().chain(mail).collect();
    service.post(&format!("/v1/learners/{id}/teach"), &json!({"examples": examples})).good()
}

#[test]
fn a_learner_lives_through_its_updates_and_a_restart() {
    let service = Service::start();
    let made = service.post("/v1/learners", &json!({"id": "mine", "model": "tiny"}));
    assert_eq!((made.status, &made.json()["examples"]), (201, &json!(0)));
    assert_eq!(service.post("/v1/learners", &json!({"id": "mine"})).status, 409);
    let none = service.post("/v1/learners/mine/predict", &json!({"inputs": ["film"]}));
    assert_eq!(none.status, 409, "{}", none.text());
    let ids = teach(&service, "mine")["ids"].clone();
    assert_eq!(ids.as_array().unwrap().len(), 8);

    let body = json!({"inputs": ["good movie", "money offer"], "coverage": 0.8,
                      "false_accepts": 0.2});
    let answer = service.post("/v1/learners/mine/predict", &body).good();
    let path = service.folder.path().join("learners/local/mine.learner");
    let encoder = offshoot_tests::open(&service.bundle("tiny"));
    let learner = offshoot::Learner::open(&path, &encoder).unwrap();
    let expected = learner.predict_many(&["good movie", "money offer"]).unwrap();
    for (found, expected) in answer["predictions"].as_array().unwrap().iter().zip(&expected) {
        assert_eq!(found["label"], expected.label);
        for (class, p) in &expected.probabilities {
            assert!((found["probabilities"][class].as_f64().unwrap() - p).abs() < 1e-5);
        }
        assert!(found["set"].is_array() && found["known"].is_boolean());
    }
    drop(learner);

    let suspects = service.get("/v1/learners/mine/suspects").good();
    assert_eq!(suspects["judged"], 8);
    let body = json!({"inputs": ["good money", "good film"], "count": 1});
    let next = service.post("/v1/learners/mine/suggest", &body).good();
    assert_eq!(next["suggestions"].as_array().unwrap().len(), 1);
    let examples = FILMS.map(|text| json!({"text": text, "label": "film"}));
    let body = json!({"examples": examples});
    let judged = service.post("/v1/learners/mine/evaluate", &body).good();
    assert_eq!(judged["examples"], 4);
    assert!(judged["report"]["accuracy"].as_f64().unwrap() >= 0.5);

    let relabel = json!({"example": ids[0], "label": "mail"});
    service.post("/v1/learners/mine/relabel", &relabel).good();
    let undone = service.post("/v1/learners/mine/undo", &json!({})).good();
    assert_eq!(undone["undone"], "relabel");
    let weigh = json!({"example": ids[0], "weight": 2.0});
    service.post("/v1/learners/mine/weigh", &weigh).good();
    let forgotten = service.post("/v1/learners/mine/forget", &json!({"source": "inbox"})).good();
    assert_eq!(forgotten["forgotten"], 4);
    assert_eq!(service.post("/v1/learners/mine/undo", &json!({})).status, 409);

    let service = Service::with(service.stop(), |_| {});
    let listed = service.get("/v1/learners").good();
    assert_eq!(listed["learners"][0]["classes"], json!([{"label": "film", "examples": 4}]));
    let page = service.get("/v1/learners/mine/examples?label=film&limit=2").good();
    assert_eq!(page["examples"][0]["text"], FILMS[0]);
    assert_eq!(page["examples"].as_array().unwrap().len(), 2);
    assert_eq!(service.send("DELETE", "/v1/learners/mine", &[], b"").status, 204);
    let gone = service.get("/v1/learners/mine");
    assert_eq!((gone.status, gone.header("content-type")), (404, Some("application/problem+json")));
    assert_eq!(gone.json()["status"], 404);
}

#[test]
fn a_learner_answers_clients_of_text_embeddings_inference() {
    let service = Service::start();
    let ask = |body: Value| service.post("/predict", &body);
    let none = ask(json!({"inputs": "good film"}));
    assert_eq!((none.status, &none.json()["error_type"]), (404, &json!("Validation")));
    service.post("/v1/learners", &json!({"id": "a", "model": "tiny"})).good();
    assert_eq!(ask(json!({"inputs": "good film"})).status, 409);
    teach(&service, "a");

    let texts = ["good film", "money offer"];
    let expected = service.post("/v1/learners/a/predict", &json!({"inputs": texts})).good();
    let expected = &expected["predictions"];
    let many = ask(json!({"inputs": texts.map(|text| [text])})).good();
    for (row, expected) in many.as_array().unwrap().iter().zip(expected.as_array().unwrap()) {
        let row = row.as_array().unwrap();
        assert_eq!((row.len(), &row[0]["label"]), (2, &expected["label"]));
        for score in row {
            let p = &expected["probabilities"][score["label"].as_str().unwrap()];
            assert!((score["score"].as_f64().unwrap() - p.as_f64().unwrap()).abs() < 1e-6);
        }
    }
    let one = ask(json!({"inputs": texts[0], "raw_scores": false, "truncate": true})).good();
    assert_eq!(one[0]["label"], many[0][0]["label"]);
    assert_eq!(ask(json!({"inputs": [texts[0]]})).good()[0]["label"], one[0]["label"]);
    // The softmax of raw scores is the probabilities.
    let raw = ask(json!({"inputs": texts[0], "raw_scores": true})).good();
    let raw: Vec<f64> = (0..2).map(|i| raw[i]["score"].as_f64().unwrap().exp()).collect();
    let first = raw[0] / (raw[0] + raw[1]);
    assert!((first - one[0]["score"].as_f64().unwrap()).abs() < 1e-6);

    let pair = ask(json!({"inputs": texts}));
    assert_eq!((pair.status, &pair.json()["error_type"]), (422, &json!("Validation")));
    assert_eq!(ask(json!({"inputs": [texts]})).status, 422);
    assert_eq!(ask(json!({"inputs": []})).status, 400);
    let long = "film ".repeat(2000);
    assert_eq!(ask(json!({"inputs": long})).status, 200);
    assert_eq!(ask(json!({"inputs": long, "truncate": false})).status, 422);
    service.post("/v1/learners", &json!({"id": "b", "model": "tiny"})).good();
    let which = ask(json!({"inputs": "good film"}));
    assert!(which.status == 422 && which.text().contains("`learner`"), "{}", which.text());
    ask(json!({"inputs": "good film", "learner": "a"})).good();
}

#[test]
fn heads_leave_as_files_that_the_library_reads() {
    let service = Service::start();
    for id in ["a", "b"] {
        service.post("/v1/learners", &json!({"id": id, "model": "tiny"})).good();
        teach(&service, id);
    }
    let head = service.get("/v1/learners/a/export/head");
    assert_eq!(head.header("content-disposition"), Some("attachment; filename=\"a.head\""));
    let head = HeadFile::from_bytes(&head.body).unwrap();
    assert_eq!(head.examples, [4, 4]);
    let onnx = service.get("/v1/learners/a/export/onnx");
    assert!(onnx.status == 200 && onnx.body.len() > 10_000, "{}", onnx.head);
    let merged = service.post("/v1/learners/a/merge", &json!({"with": ["b"]}));
    assert_eq!(HeadFile::from_bytes(&merged.body).unwrap().examples, [8, 8]);
    assert_eq!(service.post("/v1/learners/a/merge", &json!({"with": ["a"]})).status, 400);
}

#[test]
fn examples_are_listed_page_by_page() {
    let service = Service::start();
    service.post("/v1/learners", &json!({"id": "a", "model": "tiny"})).good();
    teach(&service, "a");
    let list = |query: &str| -> Vec<Value> {
        let answer = service.get(&format!("/v1/learners/a/examples?{query}")).good();
        answer["examples"].as_array().unwrap().clone()
    };
    for filter in ["", "&label=mail", "&source=inbox", "&label=none"] {
        let whole = list(&format!("limit=1000{filter}"));
        let (mut paged, mut after) = (Vec::new(), 0);
        loop {
            let page = list(&format!("limit=3&after={after}{filter}"));
            let Some(last) = page.last() else { break };
            after = last["example"].as_i64().unwrap();
            paged.extend(page);
        }
        assert_eq!(paged, whole, "{filter}");
    }
    assert_eq!((list("").len(), list("label=mail").len(), list("limit=0").len()), (8, 4, 0));
}

#[test]
fn a_learner_leaves_whole() {
    let service = Service::start();
    service.post("/v1/learners", &json!({"id": "a", "model": "tiny"})).good();
    let ids = teach(&service, "a")["ids"].clone();
    service.post("/v1/learners/a/forget", &json!({"examples": [ids[0]]})).good();
    let answer = service.get("/v1/learners/a/export/learner");
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"a.learner\""));
    let place = service.folder.path().join("copy.learner");
    std::fs::write(&place, &answer.body).unwrap();
    let copy = Store::open(&place).unwrap();
    copy.check().unwrap();
    let own = Store::open(service.folder.path().join("learners/local/a.learner")).unwrap();
    let all = |store: &Store| -> Vec<Example> {
        store.examples(&ExampleFilter::default()).collect::<Result<_, _>>().unwrap()
    };
    assert_eq!((all(&copy).len(), all(&copy)), (7, all(&own)));
    assert_eq!((copy.info(), copy.revision().unwrap()), (own.info(), own.revision().unwrap()));
    let forgotten = FILMS[0].as_bytes();
    assert!(!answer.body.windows(forgotten.len()).any(|bytes| bytes == forgotten));
}

#[test]
fn statistics_of_another_service_are_merged() {
    let (one, two) = (Service::start(), Service::start());
    for (service, id) in [(&one, "a"), (&one, "b"), (&two, "b")] {
        service.post("/v1/learners", &json!({"id": id, "model": "tiny"})).good();
        teach(service, id);
    }
    let sent = two.get("/v1/learners/b/export/statistics");
    assert_eq!(StatisticsFile::from_bytes(&sent.body).unwrap().statistics.counts(), [4, 4]);
    let sent = base64::engine::general_purpose::STANDARD.encode(&sent.body);
    let merge = |body: Value| one.post("/v1/learners/a/merge", &body);
    // Sums are exact, so it does not matter where they were made.
    let expected = merge(json!({"with": ["b"]}));
    assert_eq!(merge(json!({"statistics": [sent]})).body, expected.body);
    let all = merge(json!({"with": ["b"], "statistics": [sent, sent], "head": "ridge"}));
    assert_eq!(HeadFile::from_bytes(&all.body).unwrap().examples, [16, 16]);
    assert_eq!(merge(json!({"statistics": ["?"]})).status, 400);
    assert_eq!(merge(json!({"statistics": ["AAAA"]})).status, 400);
    two.post("/v1/learners", &json!({"id": "c", "model": "tiny", "dimensions": 4})).good();
    teach(&two, "c");
    let other = two.get("/v1/learners/c/export/statistics").body;
    let other = base64::engine::general_purpose::STANDARD.encode(other);
    assert_eq!(merge(json!({"statistics": [other]})).status, 409);
}

#[test]
fn images_and_signals_are_taught_too() {
    let service = Service::start();
    let png = |shade: u8| {
        // A BMP of one pixel: header, size, colour.
        let mut bytes = b"BM".to_vec();
        bytes.extend(58u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(54u32.to_le_bytes());
        bytes.extend(40u32.to_le_bytes());
        bytes.extend([1i32.to_le_bytes(), 1i32.to_le_bytes()].concat());
        bytes.extend([1, 0, 24, 0]);
        bytes.extend([0; 24]);
        bytes.extend([shade, shade, shade, 0]);
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    service.post("/v1/learners", &json!({"id": "pictures", "model": "images"})).good();
    let examples: Vec<Value> = [(10, "dark"), (30, "dark"), (220, "light"), (250, "light")]
        .map(|(shade, label)| {
            json!({"image": png(shade), "label": label, "shown": "data:image/png;base64,AAAA"})
        })
        .to_vec();
    service.post("/v1/learners/pictures/teach", &json!({"examples": examples})).good();
    let url = format!("data:image/bmp;base64,{}", png(240));
    let body = json!({"inputs": [{"image": png(240)}, {"image": url}, {"image": png(5)}]});
    let answer = service.post("/v1/learners/pictures/predict", &body).good();
    let labels: Vec<&Value> =
        answer["predictions"].as_array().unwrap().iter().map(|p| &p["label"]).collect();
    assert_eq!(labels, ["light", "light", "dark"]);
    let bad = service.post("/v1/learners/pictures/predict", &json!({"inputs": ["a text"]}));
    assert_eq!(bad.status, 400);
    assert!(bad.json()["detail"].as_str().unwrap().contains("\"image\""));

    service.post("/v1/learners", &json!({"id": "moves", "model": "signals"})).good();
    let wave = |height: f32| vec![vec![height; 20]; 3];
    let examples: Vec<Value> = [(0.1, "still"), (0.2, "still"), (5.0, "shaken"), (6.0, "shaken")]
        .map(|(height, label)| json!({"signal": wave(height), "label": label}))
        .to_vec();
    service.post("/v1/learners/moves/teach", &json!({"examples": examples})).good();
    // Another length is resampled.
    let body = json!({"inputs": [{"signal": vec![vec![5.5f32; 33]; 3]}]});
    let answer = service.post("/v1/learners/moves/predict", &body).good();
    assert_eq!(answer["predictions"][0]["label"], "shaken");
    let body = json!({"inputs": [{"signal": [[1.0]]}]});
    assert_eq!(service.post("/v1/learners/moves/predict", &body).status, 400);
}
