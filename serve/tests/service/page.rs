//! The page in a browser, where there is one: with encoders of the zoo, plainly and by TLS.

use std::path::Path;

use offshoot_serve::{Config, Served};

use crate::client::Service;
use crate::installed::{Script, chromium, done};
use crate::tls;

/// Runs the script of a person who teaches, on a service that `change` changes.
fn taught(scheme: &str, change: impl FnOnce(&mut Config, &Path)) {
    let packages = ["playwright-core@1.65.1", "axe-core@4.14.1"];
    let ready = chromium().and_then(|program| Ok((program, Script::new("page.mjs", &packages)?)));
    let (chromium, script) = match ready {
        Ok(ready) => ready,
        Err(reason) => {
            eprintln!("not tested, since there is no browser to open the page with: {reason}");
            return;
        }
    };
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo");
    let of = |name: &str| Served {
        name: Some(name.into()),
        path: zoo.join(name).join(format!("{name}.offshoot")),
    };
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_owned();
    let service = Service::with(folder, |config| {
        config.bundles = ["movies", "fashion"].map(of).to_vec();
        change(config, &place);
    });
    let mut node = script.node();
    node.arg(format!("{scheme}://127.0.0.1:{}", service.address.port())).env("CHROMIUM", chromium);
    let output = done(&mut node).unwrap_or_else(|reason| panic!("{reason}"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the page works"));
}

#[test]
fn a_person_teaches_by_texts_and_images_and_loses_nothing() {
    taught("http", |_, _| {});
}

#[test]
fn a_person_teaches_over_tls() {
    taught("https", |config, folder| {
        tls::certificate(folder);
        config.tls = Some(tls::files(folder));
    });
}
