//! Signals to a service that is a process of its own: nothing acknowledged is lost when it is
//! killed, and SIGHUP reads the keys and the certificate again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use offshoot::learner::Store;
use offshoot_serve::{Config, Served, new_key, run};
use offshoot_tests::process::{Part, role, say};
use serde_json::{Value, json};

use crate::client::{Answer, request};
use crate::tls;

const FOLDER: &str = "OFFSHOOT_TEST_FOLDER";
/// How often the service is killed, and updates that are answered before each time.
const KILLS: usize = 10;
const UPDATES: usize = 12;

/// What a process of the service does, until it is ended.
fn serve(keys: bool, certificate: bool) {
    let folder = std::env::var(FOLDER).unwrap();
    let folder = Path::new(&folder);
    let served = Served { name: Some("tiny".into()), path: folder.join("tiny.offshoot") };
    let mut config = Config::new(vec![served], folder.join("learners"));
    config.address = "127.0.0.1:0".parse().unwrap();
    config.open = offshoot_tests::options();
    config.keys = keys.then(|| folder.join("keys"));
    config.tls = certificate.then(|| tls::files(folder));
    run(config, |address| say(&address.unwrap().to_string())).unwrap();
}

fn start(test: &str, folder: &Path) -> (Part, SocketAddr) {
    let mut part = Part::start(test, "serve", &[(FOLDER, folder.to_str().unwrap())]);
    let address = part.hear().parse().unwrap();
    (part, address)
}

fn post(address: SocketAddr, path: &str, body: &Value) -> std::io::Result<Answer> {
    let headers = [("content-type", "application/json")];
    request(address, "POST", path, &headers, body.to_string().as_bytes())
}

/// Texts of the examples that a learner has.
type Texts = BTreeSet<String>;

/// What a learner must have, and what undoing leads to, the latest last.
#[derive(Debug, Clone, Default)]
struct Known {
    texts: Texts,
    before: Vec<Texts>,
}

/// A client's own account of a learner.
struct Client {
    address: SocketAddr,
    random: u64,
    taught: usize,
    known: Known,
    /// What it must have instead if the update that was not answered was made.
    perhaps: Option<Known>,
}

impl Client {
    fn below(&mut self, n: usize) -> usize {
        // Marsaglia's xorshift64.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % n as u64) as usize
    }

    fn examples(&self) -> Vec<(i64, String)> {
        let path = "/v1/learners/a/examples?limit=1000";
        let answer = request(self.address, "GET", path, &[], b"").unwrap().good();
        let examples = answer["examples"].as_array().unwrap();
        let one = |e: &Value| Some((e["example"].as_i64()?, e["text"].as_str()?.to_owned()));
        examples.iter().map(|example| one(example).unwrap()).collect()
    }

    /// A random update; false where it was not answered.
    fn update(&mut self, ids: &mut Vec<(i64, String)>) -> bool {
        let mut next = self.known.clone();
        let what = self.below(10);
        let (verb, body) = match what {
            0 | 1 if !next.before.is_empty() => {
                next.texts = next.before.pop().unwrap();
                ("undo", json!({}))
            }
            2 | 3 if !ids.is_empty() => {
                let place = self.below(ids.len());
                let (id, text) = ids.swap_remove(place);
                next.texts.remove(&text);
                // A forgotten example does not come back, by undoing what was before neither.
                next.before.clear();
                ("forget", json!({"examples": [id]}))
            }
            _ => {
                next.before.push(next.texts.clone());
                let mut examples = Vec::new();
                for _ in 0..=self.below(3) {
                    self.taught += 1;
                    let text = format!("film {}", self.taught);
                    let label = if self.taught.is_multiple_of(2) { "a" } else { "b" };
                    examples.push(json!({"text": text, "label": label}));
                    next.texts.insert(text);
                }
                ("teach", json!({"examples": examples}))
            }
        };
        let Ok(answer) = post(self.address, &format!("/v1/learners/a/{verb}"), &body) else {
            self.perhaps = Some(next);
            return false;
        };
        let answer = answer.good();
        if verb == "teach" {
            let added = body["examples"].as_array().unwrap().iter();
            for (id, example) in answer["ids"].as_array().unwrap().iter().zip(added) {
                ids.push((id.as_i64().unwrap(), example["text"].as_str().unwrap().to_owned()));
            }
        }
        self.known = next;
        ids.retain(|(_, text)| self.known.texts.contains(text));
        true
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    if role().is_some() {
        return serve(false, false);
    }
    let test = "killed::nothing_acknowledged_is_lost_by_a_kill";
    let folder = tempfile::tempdir().unwrap();
    offshoot_tests::tiny::bundle(folder.path(), "tiny", 1);
    let (mut part, address) = start(test, folder.path());
    post(address, "/v1/learners", &json!({"id": "a"})).unwrap().good();
    let mut client =
        Client { address, random: 7, taught: 0, known: Known::default(), perhaps: None };
    for _ in 0..KILLS {
        let mut ids = client.examples();
        let wait = Duration::from_micros(client.below(20_000) as u64);
        let answered = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let updates = scope.spawn(|| {
                while client.update(&mut ids) {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
            while answered.load(Ordering::Relaxed) < UPDATES && !updates.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(!updates.is_finished(), "an update was not answered before the kill");
            std::thread::sleep(wait);
            part.kill();
        });
        let path = folder.path().join("learners/local/a.learner");
        Store::open(path).unwrap().check().unwrap();
        (part, client.address) = start(test, folder.path());
        let found: Texts = client.examples().into_iter().map(|(_, text)| text).collect();
        if let Some(perhaps) = client.perhaps.take()
            && found != client.known.texts
        {
            client.known = perhaps;
        }
        assert_eq!(found, client.known.texts);
    }
    part.kill();
}

/// Sends SIGHUP and waits until it had its effect.
fn hang_up(part: &Part, until: &dyn Fn() -> bool) {
    let id = part.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    while !until() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn keys_are_read_again_at_sighup() {
    if role().is_some() {
        return serve(true, false);
    }
    let folder = tempfile::tempdir().unwrap();
    offshoot_tests::tiny::bundle(folder.path(), "tiny", 1);
    let file = folder.path().join("keys");
    let first = new_key(&file, "first").unwrap();
    let (part, address) = start("killed::keys_are_read_again_at_sighup", folder.path());
    let status = |key: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        request(address, "GET", "/v1/models", &headers, b"").unwrap().status
    };
    let hang_up = |until: &dyn Fn() -> bool| hang_up(&part, until);
    let second = new_key(&file, "second").unwrap();
    assert_eq!((status(&first), status(&second)), (200, 401));
    hang_up(&|| status(&second) == 200);
    assert_eq!(status(&first), 200);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.lines().nth(1).unwrap()).unwrap();
    hang_up(&|| status(&first) == 401);
    assert_eq!(status(&second), 200);
    part.kill();
}

#[test]
fn the_certificate_is_read_again_at_sighup() {
    if role().is_some() {
        return serve(false, true);
    }
    let folder = tempfile::tempdir().unwrap();
    offshoot_tests::tiny::bundle(folder.path(), "tiny", 1);
    let old = tls::certificate(folder.path());
    let (part, address) = start("killed::the_certificate_is_read_again_at_sighup", folder.path());
    assert!(tls::trusts(address, &old));
    let new = tls::certificate(folder.path());
    assert!(!tls::trusts(address, &new));
    hang_up(&part, &|| tls::trusts(address, &new));
    assert!(!tls::trusts(address, &old));
    part.kill();
}
