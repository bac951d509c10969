//! BERT (Devlin et al., 2018, arXiv:1810.04805), ELECTRA (Clark et al., 2020,
//! arXiv:2003.10555), RoBERTa (Liu et al., 2019, arXiv:1907.11692) and XLM-RoBERTa
//! (Conneau et al., 2019, arXiv:1911.02116): one network, whose embeddings differ.

use serde_json::json;

use super::TokenEncoder;
use super::config::Config;
use super::post_norm::{BERT_NAMES, Positions, Sizes, Start, embed, layers};
use super::source::Source;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::graph::Lowering;

/// How the embeddings differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    Bert,
    /// Its embeddings may be narrower than its layers.
    Electra,
    /// Its positions are counted from behind the padding's id.
    Roberta,
    XlmRoberta,
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Electra => "electra",
            Self::Roberta => "roberta",
            Self::XlmRoberta => "xlm-roberta",
        }
    }
}

pub(super) fn build(
    config: Config<'_>,
    checkpoint: &Checkpoint,
    lowering: Lowering,
    variant: Variant,
) -> Result<TokenEncoder> {
    config.only("position_embedding_type", &json!("absolute"))?;
    config.only("is_decoder", &json!(false))?;
    config.only("add_cross_attention", &json!(false))?;
    let sizes = Sizes::read(config, "hidden_act", ("layer_norm_eps", 1e-12))?;
    let width = sizes.width;
    let positions = config.size("max_position_embeddings")?;
    let segments = config.size_or("type_vocab_size", 2)?;
    let embedded = match variant {
        Variant::Electra => config.size_or("embedding_size", width)?,
        _ => width,
    };
    let padding = match variant {
        Variant::Roberta | Variant::XlmRoberta => Some(config.padding_before(positions)?),
        Variant::Bert | Variant::Electra => None,
    };

    let prefix = checkpoint.prefix(&["", "bert.", "electra.", "roberta.", "model."], PROBE)?;
    let source = Source { checkpoint, prefix };
    let embeddings = source.below("embeddings");
    // A text is one segment: its vector is part of every position's.
    let table = embeddings
        .tensor("position_embeddings.weight", &[positions, embedded])?
        .plus_row(embeddings.tensor("token_type_embeddings.weight", &[segments, embedded])?, 0)?;
    let (table, max_tokens) = match padding {
        None => (Positions::ByColumn(table), positions),
        Some(padding) => {
            let table = table.select_rows((padding..positions).collect())?;
            (Positions::Counted { table, padding }, positions - padding - 1)
        }
    };

    let mut start = Start::new(variant.name(), lowering)?;
    let mut x = embed(&mut start, &embeddings, table, embedded, sizes.vocabulary, sizes.epsilon)?;
    let g = &mut start.graph;
    if embedded != width {
        let (weight, bias) = source.linear(g, "embeddings_project", [embedded, width], true)?;
        x = g.linear(x, weight, bias)?;
    }
    let mask = g.attention_mask(start.mask, None)?;
    let x = layers(g, &source.below("encoder.layer"), BERT_NAMES, &sizes, mask, x)?;
    Ok(start.finish(x, &sizes, max_tokens, variant.name()))
}

/// A tensor that every one of these models has.
const PROBE: &str = "embeddings.word_embeddings.weight";
