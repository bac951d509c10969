//! From token vectors to the embedding.

use super::modules::{Chain, Step};
use super::pooling::PoolingConfig;
use crate::error::{Error, Result};
use crate::graph::{Dim, ElementType, Graph, Value};

/// Name of the graph's output.
pub(crate) const OUTPUT: &str = "embedding";

/// The oldest operator set that pooling can be written in.
const OLDEST_OPSET: i64 = 11;

/// Pools `tokens` `[batch, tokens, width]`, applies the steps that follow, and
/// makes the result, `[batch, width]`, the graph's only output. Returns its width.
pub(crate) fn finish(
    graph: &mut Graph,
    chain: &Chain,
    pooling: &PoolingConfig,
    tokens: Value,
    mask: Value,
) -> Result<usize> {
    if graph.opset() < OLDEST_OPSET {
        return Err(graph.error(
            "Pooling",
            format!(
                "the graph is of version {} of the operator set; export it again with version \
                 {OLDEST_OPSET} or newer",
                graph.opset()
            ),
        ));
    }
    let tokens = graph.cast(tokens, ElementType::Float32)?;
    let width = graph.shape(tokens)?.last().and_then(Dim::fixed);
    if let Some(((object, _), stated)) = chain.pooling.as_ref().zip(pooling.width)
        && width.is_some_and(|width| width != stated)
    {
        return Err(Error::unsupported(
            object.path(),
            format!(
                "pooling is for token vectors of width {stated} and the encoder's are {} wide",
                width.unwrap_or(0)
            ),
        ));
    }
    let mut embedding = pooling.apply(graph, tokens, mask)?;
    for (i, step) in chain.after.iter().enumerate() {
        embedding = match step {
            Step::Dense(dense) => dense.apply(graph, embedding, &format!("dense.{i}"))?,
            Step::Normalize => graph.in_scope("normalize", |g| g.unit_norm(embedding))?,
        };
    }
    output(graph, embedding)
}

/// Makes `embedding` `[batch, width]` the graph's only output and returns its width.
pub(crate) fn output(graph: &mut Graph, embedding: Value) -> Result<usize> {
    let width = graph.shape(embedding)?.last().and_then(Dim::fixed).ok_or_else(|| {
        graph
            .error("Output", format!("the width of `{}` is not known", graph.value_name(embedding)))
    })?;
    graph.clear_outputs();
    if graph.value_name(embedding) != OUTPUT {
        graph.free_name(OUTPUT);
    }
    graph.output(OUTPUT, embedding)?;
    graph.prune();
    Ok(width)
}
