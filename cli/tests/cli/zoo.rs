//! The encoders of `models/zoo`: whole, small, as their recipes say, and able to tell classes
//! apart from a handful of labels, without a network.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Workplace, bitmap_header, stdout};

const ZOO: [&str; 4] = ["fashion", "motions", "movies", "proteins"];

fn zoo() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/zoo")
}

/// The bundle of the zoo that is called so.
pub(crate) fn bundle(name: &str) -> String {
    zoo().join(name).join(format!("{name}.offshoot")).to_str().expect("UTF-8").to_owned()
}

#[test]
fn each_has_a_card_and_a_recipe_that_it_was_made_by() {
    let place = Workplace::new();
    let mut found: Vec<String> = fs::read_dir(zoo())
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            entry.path().is_dir().then(|| entry.file_name().into_string().unwrap())
        })
        .collect();
    found.sort();
    assert_eq!(found, ZOO);
    for name in ZOO {
        assert!(fs::metadata(bundle(name)).unwrap().len() <= 1_000_000, "{name} is too large");
        place.offshoot(&["verify", &bundle(name)]).assert().success();
        let info = place.offshoot(&["info", &bundle(name), "--json"]).assert().success();
        let info: Value = serde_json::from_str(&stdout(&info)).unwrap();
        let pretraining = &info["manifest"]["provenance"]["pretraining"];
        let recipe = fs::read_to_string(zoo().join(name).join("recipe.sh")).unwrap();
        let option = |option: &str| {
            let (_, rest) = recipe.split_once(&format!("--{option} "))?;
            rest.split_whitespace().next()
        };
        assert_eq!(pretraining["steps"].to_string(), option("steps").unwrap(), "{name}");
        assert_eq!(pretraining["seed"].to_string(), option("seed").unwrap(), "{name}");
        assert_eq!(pretraining["objective"], option("objective").unwrap_or("simclr"), "{name}");
        let card = fs::read_to_string(zoo().join(name).join("README.md")).unwrap();
        assert!(card.contains(info["digest"].as_str().unwrap()), "{name}: another digest");
    }
}

/// Learns from one file or folder and gives the share of another's rows that are told right.
fn told_right(place: &Workplace, name: &str, [train, test]: [&str; 2], more: &[&str]) -> f64 {
    let head = format!("{name}.head");
    let bundle = bundle(name);
    place.offshoot(&[&["learn", &bundle, train, "-o", &head], more].concat()).assert().success();
    let evaluate = [&["evaluate", &bundle, &head, test, "--json"], more].concat();
    let said = stdout(&place.offshoot(&evaluate).assert().success());
    let said: Value = serde_json::from_str(&said).unwrap();
    said["accuracy"].as_f64().unwrap()
}

#[test]
fn plots_and_verdicts_are_told_apart() {
    let place = Workplace::new();
    let train = "text,label\n\
        A young detective returns to her village to solve the murder of her brother.,plot\n\
        Two friends travel across the country in a stolen car with the police behind them.,plot\n\
        After the war a soldier falls in love with the daughter of his enemy.,plot\n\
        A scientist discovers a secret that could destroy the city.,plot\n\
        A dull and lifeless mess that wastes its talented cast.,verdict\n\
        One of the best films of the year: funny and smart and moving.,verdict\n\
        The script is weak but the performances are wonderful.,verdict\n\
        It never quite works as a comedy and the jokes are not funny.,verdict\n";
    let test = "text,label\n\
        A retired boxer must fight once more to save the life of his son.,plot\n\
        A group of students is trapped in an old house with a killer.,plot\n\
        When her husband disappears a woman begins a search on a small island.,plot\n\
        A thief and a police officer are forced to work together to find the money.,plot\n\
        The king is dead and his three sons begin a war over the crown.,plot\n\
        A lonely boy finds a wounded horse and takes it to his father's farm.,plot\n\
        Entertaining and very well made but a little too long.,verdict\n\
        A predictable and boring sequel without any charm.,verdict\n\
        The most beautiful movie I have seen in a long time.,verdict\n\
        Fails as a drama and the dialogue is terrible.,verdict\n\
        Charming and witty with a great performance in the lead.,verdict\n\
        There is nothing new here and it is all too familiar.,verdict\n";
    place.write("train.csv", train);
    place.write("test.csv", test);
    let right = told_right(&place, "movies", ["train.csv", "test.csv"], &[]);
    assert!(right >= 0.8, "{right}");
}

/// A window of six channels of 100 samples that swing so many times, as a line of `.ts`.
fn window(swings: f64, height: f64, phase: f64) -> String {
    let channel = |channel: usize| {
        let value = |t: usize| {
            let angle = std::f64::consts::TAU * swings * t as f64 / 100.0;
            height * (angle + phase + channel as f64).sin()
        };
        (0..100).map(|t| format!("{:.4}", value(t))).collect::<Vec<_>>().join(",")
    };
    (0..6).map(channel).collect::<Vec<_>>().join(":")
}

/// Windows that swing slowly, fast or hardly at all, so many of each, as a file `.ts`.
pub(crate) fn swings(numbers: std::ops::Range<u32>) -> String {
    let mut file = "@problemName swings\n@timestamps false\n@univariate false\n@dimensions 6\n\
        @equalLength true\n@seriesLength 100\n@classLabel true slow fast still\n@data\n"
        .to_owned();
    for (label, swings, height) in [("slow", 2.0, 4.0), ("fast", 9.0, 4.0), ("still", 2.0, 0.1)] {
        for further in numbers.clone().map(f64::from) {
            let window = window(swings + 0.1 * further, height, 0.9 * further);
            file.push_str(&format!("{window}:{label}\n"));
        }
    }
    file
}

#[test]
fn slow_and_fast_motions_are_told_apart() {
    let place = Workplace::new();
    place.write("train.ts", swings(0..3));
    place.write("test.ts", swings(3..8));
    let right = told_right(&place, "motions", ["train.ts", "test.ts"], &[]);
    assert!(right >= 0.9, "{right}");
}

/// A bitmap of 28 × 28 with a bright shape: two legs, a low box, or a tall box with arms.
fn clothing(class: &str, seed: usize) -> Vec<u8> {
    let mut file = bitmap_header(28, 28);
    for at in 0..28 * 28 {
        // The rows of a bitmap run upwards.
        let (x, y) = (at % 28, 27 - at / 28);
        let x = (x + seed % 3).saturating_sub(1);
        let inside = match class {
            "trouser" => {
                (2..26).contains(&y) && (8..20).contains(&x) && (y < 8 || !(13..15).contains(&x))
            }
            "shoe" => {
                let low = (16..22).contains(&y) && (2..26).contains(&x);
                low || ((9..16).contains(&y) && (16..26).contains(&x))
            }
            _ => {
                let body = (4..26).contains(&y) && (8..20).contains(&x);
                body || ((4..10).contains(&y) && (2..26).contains(&x))
            }
        };
        let noise = ((at * 31 + seed * 17) % 23) as u8;
        let value = if inside { 170 + 3 * noise } else { noise / 8 };
        file.extend([value; 3]);
    }
    file
}

#[test]
fn outlines_of_clothing_are_told_apart() {
    let place = Workplace::new();
    for class in ["trouser", "shoe", "shirt"] {
        for (part, numbers) in [("train", 0..2), ("test", 2..6)] {
            let folder = place.path(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for i in numbers {
                fs::write(folder.join(format!("{i}.bmp")), clothing(class, i)).unwrap();
            }
        }
    }
    let right = told_right(&place, "fashion", ["train", "test"], &[]);
    assert!(right >= 0.9, "{right}");
}

/// Numbers that look like random ones.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, below: u64) -> u64 {
        // Knuth's constants (MMIX).
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn residue(&mut self) -> u8 {
        b"ACDEFGHIKLMNPQRSTVWY"[self.below(20) as usize]
    }

    /// A relative of a protein, with a fifth of its residues drawn anew.
    fn relative(&mut self, protein: &[u8]) -> String {
        let mut residue = |&old: &u8| if self.below(5) == 0 { self.residue() } else { old };
        protein.iter().map(|old| char::from(residue(old))).collect()
    }
}

#[test]
fn relatives_of_proteins_are_told_apart() {
    let place = Workplace::new();
    let mut numbers = Numbers(0);
    let families: [Vec<u8>; 3] =
        std::array::from_fn(|_| (0..200).map(|_| numbers.residue()).collect());
    for (part, count) in [("train.fasta", 4), ("test.fasta", 8)] {
        let mut file = String::new();
        for (family, protein) in families.iter().enumerate() {
            for number in 0..count {
                let relative = numbers.relative(protein);
                file.push_str(&format!(">{family}-{number} FAMILY={family}\n{relative}\n"));
            }
        }
        place.write(part, &file);
    }
    let label = ["--label", "FAMILY"];
    let right = told_right(&place, "proteins", ["train.fasta", "test.fasta"], &label);
    assert!(right >= 0.9, "{right}");
}
