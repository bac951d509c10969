//! `offshoot similarity`: how alike a few texts are.

use std::fmt::Write;
use std::path::PathBuf;

use ndarray::Array2;
use offshoot::bundle::Similarity;
use offshoot::similarity;
use serde_json::json;

use crate::encoder::{EmbedArgs, EncoderArgs, Truncate};
use crate::failure::Result;
use crate::output;

/// Longest beginning of a text that the table shows, in characters.
const SHOWN: usize = 48;

const EXAMPLES: &str = "\
Examples:
  offshoot similarity minilm.offshoot 'the film moved me' 'a moving film' 'the invoice is due'
  offshoot similarity minilm.offshoot query 'first text' 'second text' --json";

/// Compare texts with each other
///
/// Prints the similarity of every pair. It is the one that the encoder was trained for, as
/// its bundle says: the cosine or the dot product.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The bundle
    bundle: PathBuf,
    /// The texts, two or more
    #[arg(required = true, num_args = 2.., value_name = "TEXT")]
    texts: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    embed: EmbedArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

pub(crate) fn run(args: Args) -> Result {
    let encoder = args.encoder.open(&args.bundle)?;
    let embeddings = encoder.embed_with(&args.texts, &args.embed.options(Truncate::Cut))?;
    let vectors = embeddings.vectors();
    let (name, scores) = match encoder.manifest().similarity {
        Similarity::Dot => ("dot product", similarity::dot(vectors, vectors)),
        _ => ("cosine", similarity::cosine(vectors, vectors)),
    };
    if args.json {
        let rows: Vec<Vec<f32>> = scores.outer_iter().map(|row| row.to_vec()).collect();
        return output::print_json(
            &json!({"measure": name, "texts": args.texts, "scores": rows}),
            false,
        );
    }
    output::print(&table(name, &args.texts, &scores))
}

fn table(name: &str, texts: &[String], scores: &Array2<f32>) -> String {
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
        let texts = ["one".to_owned(), "two\nlines".to_owned()];
        let page = table("cosine", &texts, &array![[1.0, 0.5], [0.5, 1.0]]);
        assert_eq!(page, "cosine\n  1  1.000         one\n  2  0.500  1.000  two lines\n");
    }
}
