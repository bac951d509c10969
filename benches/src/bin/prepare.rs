//! Obtains and writes what every peer reads, into `target/bench`: the texts, the
//! bundles, and the standard-operator graph as a plain folder.

#![forbid(unsafe_code)]

use offshoot_export::graph::Lowering;

fn main() {
    let folder = offshoot_benches::folder();
    let texts = serde_json::to_string(&offshoot_benches::texts()).expect("texts as JSON");
    std::fs::write(folder.join("texts.json"), texts).expect("write the texts");
    for lowering in [Lowering::Standard, Lowering::OnnxRuntime] {
        let bundle = offshoot_benches::minilm(lowering);
        let unpacked = bundle.with_extension("");
        if !unpacked.exists() {
            offshoot_export::archive::unpack(&bundle, &unpacked, None, &mut |_| {})
                .expect("unpack");
        }
        println!("{}", bundle.display());
    }
}
