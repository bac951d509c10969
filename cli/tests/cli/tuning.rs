//! `tune`: adapters and bundles that other commands take, and what leaves nothing behind.

use crate::support::{Workplace, bundle, other_bundle, stderr};

fn tune(place: &Workplace, output: &str, more: &[&str]) -> assert_cmd::assert::Assert {
    let args = ["tune", bundle(), "train.csv", "-o", output, "--steps", "4", "--rank", "2"];
    place.offshoot(&[&args[..], more].concat()).assert()
}

#[test]
fn every_method_writes_an_adapter_that_heads_are_fitted_with() {
    let place = Workplace::new();
    place.examples("train.csv", 4);
    place.examples("test.csv", 3);
    for method in ["lora", "bias", "layer-norm"] {
        let done = tune(&place, "a.adapter", &["--method", method, "--force"]).success();
        assert!(stderr(&done).contains("numbers trained in 4 steps"), "{}", stderr(&done));
        let learn = ["learn", bundle(), "train.csv", "-o", "a.head"];
        let with = ["--adapter", "a.adapter"];
        place.offshoot(&[&learn[..], &with].concat()).assert().success();
        let predict = ["predict", bundle(), "a.head", "test.csv"];
        place.offshoot(&[&predict[..], &with].concat()).assert().success();
        // The head belongs to the encoder with its adapter, and to no other.
        place.offshoot(&predict).assert().failure();
        place.offshoot(&learn).assert().success();
        place.offshoot(&predict).assert().success();
        place.offshoot(&[&predict[..], &with].concat()).assert().failure();
    }
    // So does a learner.
    let with = ["--adapter", "a.adapter"];
    let learn = ["learn", bundle(), "train.csv", "-o", "a.learner"];
    place.offshoot(&[&learn[..], &with].concat()).assert().success();
    let teach = ["teach", bundle(), "a.learner", "fresh grey", "good"];
    place.offshoot(&[&teach[..], &with].concat()).assert().success();
    let refused = place.offshoot(&teach).assert().failure();
    assert!(stderr(&refused).contains("a.learner"), "{}", stderr(&refused));
    let embed = ["embed", other_bundle(), "--one", "fresh", "--adapter", "a.adapter"];
    let refused = place.offshoot(&embed).assert().failure();
    assert!(stderr(&refused).contains("belongs to the encoder"), "{}", stderr(&refused));
}

#[test]
fn a_bundle_is_written_by_its_ending_and_accuracy_is_told() {
    let place = Workplace::new();
    place.examples("train.csv", 4);
    place.examples("test.csv", 3);
    let done = tune(&place, "tuned.offshoot", &["--test", "test.csv"]).success();
    assert!(stderr(&done).contains("accuracy of the automatic head"), "{}", stderr(&done));
    place.offshoot(&["verify", "tuned.offshoot"]).assert().success();
    place.offshoot(&["embed", "tuned.offshoot", "--one", "fresh"]).assert().success();
    let again = tune(&place, "tuned.offshoot", &[]).code(2);
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
}

#[test]
fn pairs_are_taken_from_two_columns() {
    let place = Workplace::new();
    place.write("train.csv", "text,answer\nfresh,stale\nmoving,dull\nbright,grey\nonce,a time\n");
    tune(&place, "a.adapter", &["--partner", "answer"]).success();
    assert!(place.path("a.adapter").exists());
    let wrong = tune(&place, "b.adapter", &["--partner", "reply"]).failure();
    assert!(stderr(&wrong).contains("reply"), "{}", stderr(&wrong));
}

#[test]
fn bad_input_leaves_nothing() {
    let place = Workplace::new();
    place.write("train.csv", "text,label\nfresh,good\ndull,good\n");
    let before = place.names();
    let refuse = |more: &[&str], part: &str| {
        let said = stderr(&tune(&place, "a.adapter", more).failure());
        assert!(said.contains(part), "{said}");
        assert_eq!(place.names(), before);
    };
    refuse(&[], "1 class");
    place.write("train.csv", "text,label\nfresh,good\ndull,bad\n");
    refuse(&[], "no class has two examples");
    place.examples("train.csv", 4);
    refuse(&["--learning-rate", "nan"], "--learning-rate is NaN");
    refuse(&["--temperature", "0"], "--temperature is 0");
    let args = ["tune", bundle(), "train.csv", "-o", "a.adapter", "--rank", "16"];
    let said = stderr(&place.offshoot(&args).assert().failure());
    assert!(said.contains("the rank 16 is not below"), "{said}");
    assert_eq!(place.names(), before);
    place.write("damaged.adapter", "offshoot adapter 1\nnot a digest");
    let args = ["embed", bundle(), "--one", "fresh", "--adapter", "damaged.adapter"];
    let said = stderr(&place.offshoot(&args).assert().failure());
    assert!(said.contains("damaged.adapter") && said.contains("cut short"), "{said}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing() {
    let place = Workplace::new();
    place.examples("train.csv", 4);
    let before = place.names();
    let args = ["tune", bundle(), "train.csv", "-o", "a.adapter", "--steps", "100000000"];
    let mut child = place.process(&args).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // It listens long before the steps begin, and the steps do not end.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "it ended early");
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nothing was written"), "{said}");
    assert_eq!(place.names(), before);
}
