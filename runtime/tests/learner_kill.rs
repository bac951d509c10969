//! SIGKILL at random moments: every acknowledged update is there, at most one more is, and
//! what was forgotten is in no byte of the file.
//!
//! `OFFSHOOT_KILLS=500 cargo test -p offshoot --test learner_kill --release` kills as often as
//! it is told.
#![cfg(all(unix, feature = "learner"))]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use offshoot::adapters::EncoderTag;
use offshoot::learner::{
    Action, ExampleFilter, ExampleId, HISTORY_UPDATES, MIN_WEIGHT, NewExample, Store, StoreInfo,
};

const DIMENSIONS: usize = 8;
const STORE: &str = "OFFSHOOT_TEST_STORE";
const SEED: &str = "OFFSHOOT_TEST_SEED";
const KILLS: &str = "OFFSHOOT_KILLS";

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// One update, in words that the parent and the child share. Examples are named by a tag,
/// which is part of their text.
#[derive(Debug, Clone, PartialEq)]
enum Update {
    Teach { first: u64, count: u64 },
    Relabel { tag: u64, label: u64 },
    Weight { tag: u64, weight: u64 },
    Age,
    Forget { tags: Vec<u64> },
    ForgetClass { label: u64 },
    Undo,
}

impl Update {
    fn write(&self) -> String {
        match self {
            Self::Teach { first, count } => format!("teach {first} {count}"),
            Self::Relabel { tag, label } => format!("relabel {tag} {label}"),
            Self::Weight { tag, weight } => format!("weight {tag} {weight}"),
            Self::Age => "age".into(),
            Self::Forget { tags } => {
                let tags: Vec<String> = tags.iter().map(u64::to_string).collect();
                format!("forget {}", tags.join(" "))
            }
            Self::ForgetClass { label } => format!("forget-class {label}"),
            Self::Undo => "undo".into(),
        }
    }

    fn read(line: &str) -> Self {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
        match (name, numbers.as_slice()) {
            ("teach", &[first, count]) => Self::Teach { first, count },
            ("relabel", &[tag, label]) => Self::Relabel { tag, label },
            ("weight", &[tag, weight]) => Self::Weight { tag, weight },
            ("age", []) => Self::Age,
            ("forget", tags) => Self::Forget { tags: tags.to_vec() },
            ("forget-class", &[label]) => Self::ForgetClass { label },
            ("undo", []) => Self::Undo,
            other => panic!("{other:?}"),
        }
    }
}

const AGE: f64 = 0.75;

fn text(tag: u64) -> String {
    format!("<the text of example {tag}>")
}

fn tag_of(text: &str) -> u64 {
    text["<the text of example ".len()..text.len() - 1].parse().unwrap()
}

fn label(label: u64) -> String {
    format!("class {label}")
}

fn embedding(tag: u64) -> Vec<f32> {
    let mut random = Random(tag);
    (0..DIMENSIONS).map(|_| random.below(1 << 24) as f32 / (1 << 24) as f32 - 0.5).collect()
}

/// What an example is, besides its tag.
type Examples = BTreeMap<u64, (u64, f64)>;

/// The store as it should be, written without a look at it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    examples: Examples,
    /// For each update its action and what each example was before.
    history: Vec<(Action, Examples)>,
    forgotten: Vec<u64>,
}

impl Model {
    fn apply(&mut self, update: &Update) {
        match update {
            Update::Teach { first, count } => {
                let taught: Examples =
                    (*first..first + count).map(|tag| (tag, (tag % 3, 1.0))).collect();
                self.examples.extend(taught.clone());
                self.remember(Action::Teach, taught);
            }
            Update::Relabel { tag, label } => {
                let before = self.examples[tag];
                self.examples.get_mut(tag).unwrap().0 = *label;
                self.remember(Action::Relabel, [(*tag, before)].into());
            }
            Update::Weight { tag, weight } => {
                let before = self.examples[tag];
                self.examples.get_mut(tag).unwrap().1 = *weight as f64;
                self.remember(Action::Weight, [(*tag, before)].into());
            }
            Update::Age => {
                let before = self.examples.clone();
                for (_, weight) in self.examples.values_mut() {
                    *weight = (*weight * AGE).max(MIN_WEIGHT);
                }
                self.remember(Action::Age, before);
            }
            Update::Forget { tags } => self.forget(tags, None),
            Update::ForgetClass { label } => {
                let of_class = self.examples.iter().filter(|(_, (of, _))| of == label);
                let tags: Vec<u64> = of_class.map(|(tag, _)| *tag).collect();
                self.forget(&tags, Some(*label));
            }
            Update::Undo => {
                while let Some((Action::Forget, _)) = self.history.last() {
                    self.history.pop();
                }
                let (action, before) = self.history.pop().unwrap();
                for (tag, (label, weight)) in before {
                    match action {
                        Action::Teach => {
                            self.examples.remove(&tag);
                            self.forgotten.push(tag);
                        }
                        Action::Relabel => self.examples.get_mut(&tag).unwrap().0 = label,
                        _ => self.examples.get_mut(&tag).unwrap().1 = weight,
                    }
                }
            }
        }
    }

    fn forget(&mut self, tags: &[u64], class: Option<u64>) {
        for (action, before) in &mut self.history {
            let relabel = *action == Action::Relabel;
            before.retain(|tag, (label, _)| {
                let mentions = relabel && class == Some(*label);
                !tags.contains(tag) && !mentions
            });
        }
        self.history.retain(|(action, before)| *action == Action::Forget || !before.is_empty());
        self.examples.retain(|tag, _| !tags.contains(tag));
        self.forgotten.extend(tags);
        self.remember(Action::Forget, Examples::new());
    }

    fn remember(&mut self, action: Action, before: Examples) {
        self.history.push((action, before));
        let surplus = self.history.len().saturating_sub(HISTORY_UPDATES);
        self.history.drain(..surplus);
    }

    fn can_undo(&self) -> bool {
        self.history.iter().any(|(action, _)| *action != Action::Forget)
    }

    /// A random update that fits, with examples kept to a few dozen.
    fn choose(&self, random: &mut Random, next: u64) -> Update {
        let tags: Vec<u64> = self.examples.keys().copied().collect();
        let any = |random: &mut Random| tags[random.below(tags.len() as u64) as usize];
        let full = tags.len() > 40;
        match random.below(12) {
            _ if tags.is_empty() => Update::Teach { first: next, count: 2 },
            0..=3 if !full => Update::Teach { first: next, count: 1 + random.below(3) },
            4 => Update::Relabel { tag: any(random), label: 3 + random.below(2) },
            5 => Update::Weight { tag: any(random), weight: 2 + random.below(5) },
            6 => Update::Age,
            7 | 8 if self.can_undo() => Update::Undo,
            9 => Update::ForgetClass { label: self.examples[&any(random)].0 },
            _ => {
                let mut tags = vec![any(random), any(random)];
                tags.dedup();
                Update::Forget { tags }
            }
        }
    }
}

/// What is in a store, with every value compared with what was taught.
fn contents(store: &Store) -> (Examples, BTreeMap<u64, ExampleId>) {
    let (mut examples, mut ids) = (Examples::new(), BTreeMap::new());
    for example in store.examples(&ExampleFilter::default()) {
        let example = example.unwrap();
        let tag = tag_of(&example.text.unwrap());
        assert_eq!(example.embedding, embedding(tag));
        let class = example.label.unwrap()["class ".len()..].parse().unwrap();
        assert!(examples.insert(tag, (class, example.weight)).is_none(), "{tag} is there twice");
        ids.insert(tag, example.id);
    }
    (examples, ids)
}

/// The child: makes updates that the parent's lines ask for, and says when each is durable.
fn child(path: &Path) {
    let mut store = Store::open(path).unwrap();
    let (_, mut ids) = contents(&store);
    let mut out = std::io::stdout().lock();
    let mut say = |line: &str| {
        out.write_all(format!("{line}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    };
    // The harness has begun a line.
    say("\nready");
    for line in std::io::stdin().lines() {
        let update = Update::read(&line.unwrap());
        match &update {
            Update::Teach { first, count } => {
                let new =
                    |tag| NewExample::new(embedding(tag), label(tag % 3)).with_text(text(tag));
                let examples: Vec<NewExample> = (*first..first + count).map(new).collect();
                let taught = store.teach_many(&examples).unwrap();
                ids.extend((*first..).zip(taught));
            }
            Update::Relabel { tag, label: to } => {
                store.relabel(ids[tag], Some(&label(*to))).unwrap();
            }
            Update::Weight { tag, weight } => store.set_weight(ids[tag], *weight as f64).unwrap(),
            Update::Age => assert!(store.age(AGE).unwrap() > 0),
            Update::Forget { tags } => {
                let forgotten: Vec<ExampleId> = tags.iter().map(|tag| ids[tag]).collect();
                assert_eq!(store.forget(&forgotten).unwrap(), tags.len());
            }
            Update::ForgetClass { label: class } => {
                assert!(store.forget_class(&label(*class)).unwrap() > 0)
            }
            Update::Undo => assert!(store.undo(true).is_ok()),
        }
        say("done");
    }
}

/// What became of the kills.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    /// For those that were acknowledged before the kill.
    waited: Duration,
    /// The update under way was not there afterwards, or was.
    lost: u64,
    kept: u64,
    /// A journal was left that had to be played back.
    journals: u64,
}

/// One life of a child. Gives the model of what must be there.
fn round(
    path: &Path,
    mut model: Model,
    random: &mut Random,
    next: &mut u64,
    tally: &mut Tally,
) -> Model {
    let name = "killed_at_random_moments";
    let revision = Store::open(path).unwrap().revision().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(STORE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    // The harness speaks first.
    while output.next().expect("the child lives").unwrap() != "ready" {}
    // Some updates are waited for, and the kill comes somewhere in the next one.
    let whole = random.below(6);
    let mut done = 0;
    let under_way = loop {
        let update = model.choose(random, *next);
        if let Update::Teach { count, .. } = update {
            *next += count;
        }
        writeln!(input, "{}", update.write()).unwrap();
        if done == whole {
            break update;
        }
        let start = Instant::now();
        assert_eq!(output.next().expect("the child lives").unwrap(), "done");
        tally.waited += start.elapsed();
        model.apply(&update);
        done += 1;
    };
    // As likely before the update's end as after it, however fast the disk is.
    let usual = tally.waited.as_micros() as u64 / tally.acknowledged.max(1);
    std::thread::sleep(Duration::from_micros(random.below(2 * usual.max(500))));
    child.kill().unwrap();
    child.wait().unwrap();
    let acknowledged = output.any(|line| line.unwrap() == "done");
    tally.acknowledged += done + u64::from(acknowledged);
    let journal = path.with_extension("learner-journal");
    tally.journals += u64::from(std::fs::metadata(journal).is_ok_and(|found| found.len() > 0));

    let store = Store::open(path).unwrap();
    store.check().unwrap();
    // Each update is one step.
    let now = store.revision().unwrap();
    let (found, _) = contents(&store);
    let mut after = model.clone();
    after.apply(&under_way);
    if acknowledged {
        assert_eq!(found, after.examples, "{under_way:?} was acknowledged and is not there");
        model = after;
        assert_eq!(now, revision + done as i64 + 1);
    } else if now == revision + done as i64 + 1 {
        assert_eq!(found, after.examples, "{under_way:?} is there in part");
        tally.kept += 1;
        model = after;
    } else {
        assert_eq!(now, revision + done as i64);
        assert_eq!(found, model.examples, "{under_way:?} is there in part");
        tally.lost += 1;
    }
    drop(store);
    let bytes = std::fs::read(path).unwrap();
    for tag in &model.forgotten {
        assert!(!holds(&bytes, text(*tag).as_bytes()), "the text of {tag} is still there");
        let embedding: Vec<u8> = embedding(*tag).iter().flat_map(|v| v.to_le_bytes()).collect();
        assert!(!holds(&bytes, &embedding), "the embedding of {tag} is still there");
    }
    // Those of long ago were looked for often enough.
    let old = model.forgotten.len().saturating_sub(200);
    model.forgotten.drain(..old);
    model
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    // The first byte is looked for fast, the rest only where it is.
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == part[0]) {
        if bytes[from + at..].starts_with(part) {
            return true;
        }
        from += at + 1;
    }
    false
}

#[test]
fn killed_at_random_moments() {
    if let Some(path) = std::env::var_os(STORE) {
        return child(Path::new(&path));
    }
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let kills = number(KILLS).unwrap_or(60);
    let seed = number(SEED).unwrap_or_else(|| u64::from(std::process::id()));
    println!("{SEED}={seed}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.learner");
    let encoder = EncoderTag {
        digest: "sha256:0".into(),
        name: "none".into(),
        dimensions: DIMENSIONS,
        prompt: None,
    };
    let info = StoreInfo { encoder, head: "logistic".into(), keeps_text: true };
    drop(Store::create(&path, &info, []).unwrap());
    let (mut random, mut next, mut tally) = (Random(seed), 0, Tally::default());
    let mut model = Model::default();
    for _ in 0..kills {
        model = round(&path, model, &mut random, &mut next, &mut tally);
    }
    println!("{kills} kills: {tally:?}, {} examples", model.examples.len());
    // The kills did come while something was under way.
    assert!(tally.lost > 0 && tally.kept > 0 && tally.journals > 0, "{tally:?}");
    // What the history says is what the model says.
    let mut store = Store::open(&path).unwrap();
    while model.can_undo() {
        store.undo(true).unwrap();
        model.apply(&Update::Undo);
        assert_eq!(contents(&store).0, model.examples);
    }
    assert!(store.undo(true).is_err());
}
