//! Commands on an encoder of images: files, folders and tables of paths.

use std::fs;
use std::path::Path;

use offshoot_tests::senses::{self, IMAGE, WIDTH};
use serde_json::Value;

use crate::support::{Workplace, bitmap_header, bundle, read_npy, stderr, stdout};

/// Classes of the images and a colour of each.
const COLOURS: [(&str, [u8; 3]); 3] =
    [("grass", [40, 200, 30]), ("night", [10, 10, 40]), ("sky", [90, 150, 250])];

/// The samples of an image near a colour, `[height, width, channels]`.
fn samples(colour: [u8; 3], seed: u8) -> Vec<u8> {
    let noise = |i: usize| (i * 13 + usize::from(seed) * 7) as u8 % 9;
    (0..IMAGE.height * IMAGE.width * 3).map(|i| colour[i % 3].saturating_add(noise(i))).collect()
}

/// A bitmap file of the size that the encoder reads.
fn bitmap(samples: &[u8]) -> Vec<u8> {
    let row = 3 * IMAGE.width;
    let padding = row.next_multiple_of(4) - row;
    let mut file = bitmap_header(IMAGE.height, IMAGE.width);
    // Rows from below, blue first.
    for row in samples.chunks_exact(row).rev() {
        file.extend(row.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]));
        file.resize(file.len() + padding, 0);
    }
    file
}

/// A workplace with the encoder `e.offshoot` and `each` images of every class in folders of
/// `photos`.
fn place(each: u8) -> Workplace {
    let place = Workplace::new();
    senses::image_bundle(&place.path(""), "e");
    for (class, colour) in COLOURS {
        fs::create_dir_all(place.path("photos").join(class)).unwrap();
        for i in 0..each {
            let path = place.path("photos").join(class).join(format!("{i}.bmp"));
            fs::write(path, bitmap(&samples(colour, i))).unwrap();
        }
    }
    place
}

/// Lines of CSV without the header, divided at commas.
fn fields(text: &str) -> Vec<Vec<String>> {
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn check_row(found: &[f32], class: usize, seed: u8) {
    let expected = senses::image_embedding(&samples(COLOURS[class].1, seed));
    assert_eq!(found.len(), WIDTH);
    for (&found, expected) in found.iter().zip(expected) {
        assert!((f64::from(found) - expected).abs() < 1e-4, "{found} against {expected}");
    }
}

#[test]
fn a_folder_a_file_and_a_table_of_paths_are_embedded() {
    let place = place(4);
    let run = place.offshoot(&["embed", "e.offshoot", "photos", "-o", "x.npy"]).assert().success();
    let said = stderr(&run);
    assert!(said.contains("x.npy: 12 rows of 8 float32 values; 12 images in"), "{said}");
    assert!(said.contains("images/s") && !said.contains("tokens"), "{said}");
    let (rows, columns, values) = read_npy(&place.path("x.npy"));
    assert_eq!((rows, columns), (12, WIDTH));
    for (row, found) in values.chunks_exact(WIDTH).enumerate() {
        check_row(found, row / 4, (row % 4) as u8);
    }

    let one = place.offshoot(&["embed", "e.offshoot", "--one", "photos/sky/2.bmp"]).assert();
    let one: Value = serde_json::from_str(&stdout(&one.success())).unwrap();
    assert_eq!(one["text"], "photos/sky/2.bmp");
    assert!(one.get("tokens").is_none());
    let found: Vec<f32> = serde_json::from_value(one["embedding"].clone()).unwrap();
    check_row(&found, 2, 2);

    // Relative paths are meant from where the table lies, here not the current folder.
    fs::write(place.path("photos/list.csv"), "image,label\nsky/1.bmp,a\nnight/3.bmp,b\n").unwrap();
    let table = ["embed", "e.offshoot", "photos/list.csv", "-o", "t.jsonl", "--with-text"];
    place.offshoot(&table).assert().success();
    let text = fs::read_to_string(place.path("t.jsonl")).unwrap();
    for (line, (path, class, seed)) in
        text.lines().zip([("sky/1.bmp", 2, 1), ("night/3.bmp", 1, 3)])
    {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["text"], path);
        let found: Vec<f32> = serde_json::from_value(line["embedding"].clone()).unwrap();
        check_row(&found, class, seed);
    }
    let piped = place
        .offshoot(&["embed", "e.offshoot"])
        .write_stdin("photos/grass/0.bmp\nphotos/sky/0.bmp\n")
        .assert()
        .success();
    assert_eq!(stdout(&piped).lines().count(), 2);
}

#[test]
fn class_folders_become_a_head_that_predicts() {
    let place = place(6);
    let learn = ["learn", "e.offshoot", "photos", "-o", "c.head"];
    let said = stderr(&place.offshoot(&learn).assert().success());
    assert!(said.contains("3 classes from 18 examples: grass 6, night 6, sky 6"), "{said}");
    fs::create_dir(place.path("new")).unwrap();
    for (i, (_, colour)) in COLOURS.iter().enumerate() {
        fs::write(place.path(&format!("new/{i}.bmp")), bitmap(&samples(*colour, 99))).unwrap();
    }
    let run = place.offshoot(&["predict", "e.offshoot", "c.head", "new"]).assert().success();
    let text = stdout(&run);
    assert!(text.starts_with("row,label,probability,input\n"), "{text}");
    for (i, row) in fields(&text).iter().enumerate() {
        assert_eq!([&row[0], &row[1]], [&(i + 1).to_string(), COLOURS[i].0]);
        assert!(Path::new(&row[3]).ends_with(format!("new/{i}.bmp")), "{row:?}");
    }
    let run = place
        .offshoot(&["evaluate", "e.offshoot", "c.head", "photos", "--json"])
        .assert()
        .success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!((value["accuracy"].as_f64(), value["examples"].as_u64()), (Some(1.0), Some(18)));
}

#[test]
fn a_learner_of_images_is_taught_asked_and_made_to_forget() {
    let place = place(3);
    let learn = ["learn", "e.offshoot", "photos", "-o", "c.learner"];
    place.offshoot(&learn).assert().success();
    fs::write(place.path("snow.bmp"), bitmap(&samples([240, 240, 240], 1))).unwrap();
    fs::write(place.path("ice.bmp"), bitmap(&samples([235, 240, 243], 5))).unwrap();
    let teach = ["teach", "e.offshoot", "c.learner", "snow.bmp", "snow"];
    let said = stderr(&place.offshoot(&teach).assert().success());
    assert!(said.contains("example 10 taught, 10 in all"), "{said}");
    let ask = ["predict", "e.offshoot", "c.learner", "ice.bmp"];
    let run = place.offshoot(&ask).assert().success();
    assert_eq!(fields(&stdout(&run))[0][1], "snow");

    // What examples writes, learn reads: paths stand where texts do.
    place.offshoot(&["examples", "c.learner", "-o", "all.csv"]).assert().success();
    let again = ["learn", "e.offshoot", "all.csv", "-o", "again.learner"];
    place.offshoot(&again).assert().success();
    let run = place.offshoot(&["predict", "e.offshoot", "again.learner", "ice.bmp"]).assert();
    assert_eq!(fields(&stdout(&run.success()))[0][1], "snow");

    let suggest = ["suggest", "e.offshoot", "c.learner", "photos", "-n", "2"];
    let run = place.offshoot(&suggest).assert().success();
    assert!(fields(&stdout(&run)).iter().all(|row| row[4].ends_with(".bmp")));
    place.offshoot(&["forget", "c.learner", "10"]).assert().success();
    let run = place.offshoot(&ask).assert().success();
    assert_ne!(fields(&stdout(&run))[0][1], "snow");
}

#[test]
fn a_head_of_images_is_fused_with_its_encoder() {
    let place = place(3);
    place.offshoot(&["learn", "e.offshoot", "photos", "-o", "c.head"]).assert().success();
    let run = place.offshoot(&["fuse", "e.offshoot", "c.head", "-o", "c.onnx"]).assert().success();
    assert!(stderr(&run).contains("3 classes"));
}

#[test]
fn encoders_of_images_are_quantised_and_optimised() {
    let place = place(4);
    for (args, what) in [
        (vec!["quantize", "--to", "int8-weights", "--block", "16"], "quantize int8-weights"),
        (vec!["quantize", "--to", "int8-static", "--calibrate", "photos"], "quantize int8-static"),
        (vec!["quantize", "--to", "fp16"], "quantize fp16"),
        (vec!["optimize"], "optimize"),
    ] {
        let [command, more @ ..] = args.as_slice() else { panic!("a command") };
        let rest = ["e.offshoot", "-o", "s.offshoot", "--samples", "photos", "--rounds", "1"];
        let all = [&[*command], &rest[..], more, &["--min-cosine", "0.99", "--force"]].concat();
        let run = place.offshoot(&all).assert().success();
        let page = stdout(&run);
        assert!(page.contains("images a second") && page.contains("on 12 images"), "{page}");
        let page = stdout(&place.offshoot(&["info", "s.offshoot"]).assert().success());
        assert!(page.contains(what), "{page}");
        place.offshoot(&["embed", "s.offshoot", "photos"]).assert().success();
    }
}

#[test]
fn similarity_compares_files() {
    let place = place(2);
    let run = place
        .offshoot(&["similarity", "e.offshoot", "photos/sky/0.bmp", "photos/grass", "--json"])
        .assert()
        .success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(value["texts"].as_array().unwrap().len(), 3);
    let run = place.offshoot(&["similarity", "e.offshoot", "photos/sky/0.bmp"]).assert().code(2);
    assert!(stderr(&run).contains("give two or more"));
}

#[test]
fn a_run_that_a_broken_image_stopped_goes_on() {
    let place = place(180);
    let whole = ["embed", "e.offshoot", "photos", "-o", "x.npy"];
    place.offshoot(&whole).assert().success();
    // The image before the last, in the second part of 512 and of the same size.
    let broken = place.path("photos/sky/98.bmp");
    let sound = fs::read(&broken).unwrap();
    fs::write(&broken, vec![b'x'; sound.len()]).unwrap();
    let run = ["embed", "e.offshoot", "photos", "-o", "y.npy"];
    let said = stderr(&place.offshoot(&run).assert().code(3));
    assert!(said.contains("sky/98.bmp") && said.contains("the first 512 rows are kept"), "{said}");
    fs::write(&broken, sound).unwrap();
    place.offshoot(&[&run[..], &["--resume"]].concat()).assert().success();
    assert!(fs::read(place.path("x.npy")).unwrap() == fs::read(place.path("y.npy")).unwrap());
}

#[test]
fn what_is_no_image_is_refused_with_its_place() {
    let place = place(1);
    place.write("gone.csv", "path,label\nphotos/sky/0.bmp,a\nphotos/none.bmp,b\n");
    let run = place.offshoot(&["embed", "e.offshoot", "gone.csv"]).assert().code(5);
    assert!(stderr(&run).contains("photos/none.bmp"), "{}", stderr(&run));
    fs::write(place.path("loose.bmp"), bitmap(&samples([1, 2, 3], 0))).unwrap();
    let run =
        place.offshoot(&["learn", "e.offshoot", "loose.bmp", "-o", "c.head"]).assert().code(3);
    assert!(stderr(&run).contains("has no label"), "{}", stderr(&run));
    fs::create_dir(place.path("empty")).unwrap();
    let run = place.offshoot(&["embed", "e.offshoot", "empty"]).assert().code(3);
    assert!(stderr(&run).contains("holds no file"), "{}", stderr(&run));
    place.write("texts.csv", "text,label\na,b\nc,d\n");
    for (command, args) in [
        ("tune", vec!["e.offshoot", "texts.csv", "-o", "x.adapter"]),
        ("quantize", vec!["e.offshoot", "-o", "q.offshoot"]),
        ("optimize", vec!["e.offshoot", "-o", "o.offshoot"]),
    ] {
        let run = place.offshoot(&[&[command], args.as_slice()].concat()).assert().code(2);
        let said = stderr(&run);
        let says = match command {
            "tune" => "works on encoders of texts, and \"e\" reads images",
            _ => "name images of the kind that they will see with --samples",
        };
        assert!(said.contains(says), "{said}");
    }
    // An encoder of texts takes no folder of images.
    let run = place.offshoot(&["embed", bundle(), "photos"]).assert();
    assert!(!run.get_output().status.success());
}

#[test]
fn info_verify_and_unpack_know_images() {
    let place = place(1);
    let page = stdout(&place.offshoot(&["info", "e.offshoot"]).assert().success());
    assert!(page.contains("reads        image\n"), "{page}");
    assert!(page.contains("images       5 by 6 pixels, in colour\n"), "{page}");
    place.offshoot(&["verify", "e.offshoot"]).assert().success();
    place.offshoot(&["unpack", "e.offshoot", "folder"]).assert().success();
    let run = place.offshoot(&["embed", "folder", "photos"]).assert().success();
    assert_eq!(stdout(&run).lines().count(), 3);
}
