//! Small data, as files of every kind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offshoot_models::data::{DataOptions, Dataset, Example, Kind, open};
use offshoot_models::random::SplitMix64;
use offshoot_models::{Error, Result};

/// Kinds of files.
pub(crate) const FILES: [&str; 4] = ["idx", "ts", "txt", "fasta"];

/// 64 examples of four classes.
const EXAMPLES: usize = 64;

/// Writes the data of a kind to a folder.
pub(crate) fn write(file: &str, folder: &Path) -> PathBuf {
    let path = folder.join(match file {
        "idx" => "images-idx3-ubyte".to_owned(),
        other => format!("data.{other}"),
    });
    let mut random = SplitMix64::new(5);
    match file {
        "idx" => {
            // A bright square in one corner, and noise.
            let mut images = vec![0, 0, 8, 3, 0, 0, 0, EXAMPLES as u8, 0, 0, 0, 12, 0, 0, 0, 12];
            let mut labels = vec![0, 0, 8, 1, 0, 0, 0, EXAMPLES as u8];
            for number in 0..EXAMPLES {
                let (top, left) = (number % 2 * 6, number / 2 % 2 * 6);
                labels.push((number % 4) as u8);
                for at in 0..144 {
                    let (y, x) = (at / 12, at % 12);
                    let inside = (top..top + 6).contains(&y) && (left..left + 6).contains(&x);
                    images.push(if inside { 200 } else { 40 } + random.below(40) as u8);
                }
            }
            fs::write(folder.join("labels-idx1-ubyte"), labels).unwrap();
            fs::write(&path, images).unwrap();
        }
        "ts" => {
            let mut text = "@problemName waves\n@timestamps false\n@univariate false\n\
                            @dimensions 2\n@classLabel true a b c d\n@data\n"
                .to_owned();
            for number in 0..EXAMPLES {
                let wave = |t: usize, channel: usize, random: &mut SplitMix64| {
                    let turn = 0.4 * (1 + number % 4) as f32 * (t as f32 + 6.0 * channel as f32);
                    turn.sin() + t as f32 / 24.0 + 0.1 * random.normal()
                };
                let channels: Vec<String> = (0..2)
                    .map(|channel| {
                        let samples = (0..24).map(|t| wave(t, channel, &mut random).to_string());
                        samples.collect::<Vec<_>>().join(",")
                    })
                    .collect();
                let label = ["a", "b", "c", "d"][number % 4];
                text += &format!("{}:{label}\n", channels.join(":"));
            }
            fs::write(&path, text).unwrap();
        }
        "txt" => {
            let subjects = ["the small dog", "a grey cat", "that old horse", "this young bird"];
            let verbs = ["runs over", "sleeps under", "looks at", "walks around"];
            let places = ["the green hill", "a wide river", "the stone bridge", "an open door"];
            let text: String = (0..EXAMPLES)
                .map(|n| format!("{} {} {}\n", subjects[n % 4], verbs[n / 4 % 4], places[n / 16]))
                .collect();
            fs::write(&path, text).unwrap();
        }
        _ => {
            let mut text = String::new();
            for number in 0..EXAMPLES {
                let family = ["MKVLAT", "GHWPRD", "CCEFNS", "QYITLK"][number % 4];
                let letter = |random: &mut SplitMix64| family.as_bytes()[random.below(6)] as char;
                let sequence: String = (0..12).map(|_| letter(&mut random)).collect();
                text += &format!(">s{number} OS={}\n{sequence}\n", number % 4);
            }
            fs::write(&path, text).unwrap();
        }
    }
    path
}

/// The data of a kind, opened.
pub(crate) fn opened(file: &str, folder: &Path) -> Arc<dyn Dataset> {
    let label = (file == "fasta").then(|| "OS".to_owned());
    let options = DataOptions { label, ..DataOptions::default() };
    Arc::from(open(&write(file, folder), &options).unwrap())
}

/// Texts of the usual lines with labels, in memory.
pub(crate) fn labeled_texts(folder: &Path) -> Arc<dyn Dataset> {
    let texts = opened("txt", folder);
    let examples = (0..texts.len()).map(|n| texts.get(n).map_err(|e| e.to_string())).collect();
    let labels = Some((0..texts.len()).map(|n| (n % 4).to_string()).collect());
    Arc::new(Memory { examples, labels, kind: Kind::Text })
}

/// Examples that are there already, or cannot be read.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) kind: Kind,
    pub(crate) examples: Vec<Result<Example, String>>,
    pub(crate) labels: Option<Vec<String>>,
}

impl Memory {
    pub(crate) fn new(examples: Vec<Result<Example, String>>) -> Arc<dyn Dataset> {
        let kind = match examples.iter().flatten().next() {
            Some(Example::Image(_)) => Kind::Image,
            Some(Example::Signal(_)) => Kind::Signal,
            _ => Kind::Text,
        };
        Arc::new(Self { kind, examples, labels: None })
    }

    pub(crate) fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Arc<dyn Dataset> {
        let all = texts.into_iter().map(|text| Ok(Example::Text(text.as_ref().into())));
        Self::new(all.collect())
    }
}

impl Dataset for Memory {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn len(&self) -> usize {
        self.examples.len()
    }

    fn get(&self, index: usize) -> Result<Example> {
        let place = self.locate(index);
        self.examples[index].clone().map_err(|reason| Error::Example { place, reason })
    }

    fn label(&self, index: usize) -> Option<&str> {
        self.labels.as_ref().map(|labels| labels[index].as_str())
    }

    fn locate(&self, index: usize) -> String {
        format!("memory, example {index}")
    }

    fn digest(&self) -> &str {
        "0000000000000000000000000000000000000000000000000000000000000000"
    }
}
