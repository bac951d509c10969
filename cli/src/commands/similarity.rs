//! `offshoot similarity`: how alike a few inputs are.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use offshoot::bundle::{Modality, Similarity};
use offshoot::{Encoder, similarity};
use serde_json::json;

use crate::encoder::{EmbedArgs, EncoderArgs, Truncate};
use crate::failure::{Failure, Result};
use crate::inputs::{self, Embedder, InputArgs, Row};
use crate::output;

/// Most images or signals that are compared.
const MOST: usize = 100;

/// Longest beginning of a text that the table shows, in characters.
const SHOWN: usize = 48;

const EXAMPLES: &str = "\
Examples:
  offshoot similarity minilm.offshoot 'the film moved me' 'a moving film' 'the invoice is due'
  offshoot similarity photos.offshoot wren.jpg robin.jpg sparrow.jpg
  offshoot similarity minilm.offshoot query 'first text' 'second text' --json";

/// Compare texts, images or signals with each other
///
/// Prints the similarity of every pair. It is the one that the encoder was trained for, as
/// its bundle says: the cosine or the dot product.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle
    bundle: PathBuf,
    /// The texts, two or more; of images and signals, files or folders
    #[arg(required = true, num_args = 1.., value_name = "TEXT")]
    texts: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    embed: EmbedArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

pub(crate) fn run(args: Args) -> Result {
    let encoder = args.encoder.open(&args.bundle)?;
    let options = args.embed.options(Truncate::Cut);
    let rows = rows(&args, &encoder)?;
    let mut embedder = Embedder::new(&encoder, &options);
    let embeddings = embedder.embed(&rows)?;
    embedder.note();
    let texts = inputs::shown(&rows);
    let vectors = embeddings.vectors();
    let (name, scores) = match encoder.manifest().similarity {
        Similarity::Dot => ("dot product", similarity::dot(vectors, vectors)),
        _ => ("cosine", similarity::cosine(vectors, vectors)),
    };
    if args.json {
        let rows: Vec<Vec<f32>> = scores.outer_iter().map(|row| row.to_vec()).collect();
        return output::print_json(
            &json!({"measure": name, "texts": texts, "scores": rows}),
            false,
        );
    }
    output::print(&table(name, &texts, &scores))
}

/// The texts, or everything that the files hold.
fn rows(args: &Args, encoder: &Encoder) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    if encoder.manifest().modality == Modality::Text {
        let texts = args.texts.iter().cloned().zip(1..);
        all.extend(texts.map(|(text, number)| Row::text(number, text, None)));
    } else {
        for path in &args.texts {
            // One more than are compared tells that there are too many.
            let rows = args.input.open(encoder.manifest(), Some(Path::new(path)), None)?;
            for row in rows.take(MOST + 1) {
                all.push(row?);
            }
        }
        if all.len() > MOST {
            return Err(Failure::usage(format!("more than {MOST} are too many to be compared")));
        }
    }
    if all.len() < 2 {
        return Err(Failure::usage("there is nothing to compare with; give two or more"));
    }
    Ok(all)
}

fn table(name: &str, texts: &[&str], scores: &Array2<f32>) -> String {
    let mut page = format!("{name}\n");
    for (i, text) in texts.iter().enumerate() {
        let _ = write!(page, "{:>3}", i + 1);
        for j in 0..=i {
            let _ = write!(page, " {:>6.3}", scores[[i, j]]);
        }
        let pad = 7 * (texts.len() - i - 1);
        let mut start: String =
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
        if text.chars().count() > SHOWN {
            start.push('…');
        }
        let _ = writeln!(page, "{:pad$}  {start}", "");
    }
    page
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_table_is_the_lower_triangle() {
        let texts = ["one", "two\nlines"];
        let page = table("cosine", &texts, &array![[1.0, 0.5], [0.5, 1.0]]);
        assert_eq!(page, "cosine\n  1  1.000         one\n  2  0.500  1.000  two lines\n");
    }
}
