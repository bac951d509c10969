//! Objectives that give tokens probabilities.

use std::collections::BTreeSet;

use offshoot_export::graph::{Graph, Lowering};
use offshoot_export::program::{ProcedureGraph, ProgramBuilder};
use offshoot_models::encoders::{Architecture, Network, Size};
use offshoot_models::objectives::{Asked, Batch, Draw, Objective, Preparation, Rows, Tokens};

use super::{SPECIAL, cases, close, small, texts, trainer, with_weights};

/// The cross-entropy of a predictor's tokens, with the weights of the cases.
fn cross_entropy(encoder: &Architecture, objective: &dyn Objective) -> Graph {
    with_weights(|weights| {
        let mut graph = Graph::new("predict", Lowering::Standard);
        let mut net = Network { graph: &mut graph, weights };
        let predictor = objective.predictor().unwrap();
        let found = predictor.cross_entropy(&mut net, encoder).unwrap();
        graph.output("cross_entropy", found).unwrap();
        graph
    })
}

#[test]
fn cross_entropies_of_tokens_are_pytorchs() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        let Some(name) = &case.objective else { continue };
        let objective = small(name);
        assert_eq!(objective.predictor().is_some(), case.cross_entropy.is_some(), "{name}");
        let Some(expected) = case.cross_entropy else { continue };
        seen.insert(name.clone());
        let mut builder = ProgramBuilder::new("predict");
        let graph = cross_entropy(&case.encoder, objective.as_ref());
        builder.procedure(ProcedureGraph::new("predict", graph)).unwrap();
        // What only the loss is fed, such as the numbers that tokens are drawn by, is left out.
        let inputs = case.inputs.iter().filter(|(input, _)| *input != "uniform");
        let inputs: Vec<_> =
            inputs.map(|(input, value)| (format!("{name}.{input}"), value.fed())).collect();
        let inputs: Vec<_> =
            inputs.iter().map(|(input, value)| (input.as_str(), value.view())).collect();
        let outputs = trainer(&builder).run("predict", &inputs).unwrap();
        let found = outputs.scalar("cross_entropy").unwrap();
        close(found.into(), expected, 1e-5).unwrap_or_else(|why| panic!("{}: {why}", case.name));
    }
    let all = ["autoregressive", "masked-token", "replaced-token"];
    assert!(seen.iter().map(String::as_str).eq(all), "{seen:?}");
}

#[test]
fn tokens_that_are_asked_for_are_ordinary_ones_and_cannot_be_seen() {
    for name in ["masked-token", "autoregressive", "replaced-token"] {
        let causal = name == "autoregressive";
        let tokens =
            Tokens { vocabulary: 60, pad: 0, mask: 4, special: SPECIAL.to_vec(), max_tokens: 32 };
        let preparation = Preparation::new(Size::Tiny.tokens(60, 32, causal, 1), Some(tokens));
        let batch = Batch { rows: Rows::Texts(texts()), labels: Vec::new() };
        let draw = Draw { seed: 1, step: 2, purpose: "held-out" };
        let objective = small(name);
        let predictor = objective.predictor().unwrap();
        let Asked { feed, rows, places } = predictor.asks(&batch, &preparation, &draw).unwrap();
        assert_eq!(rows, texts());
        let fed = |input: &str| -> Vec<i64> {
            let input = format!("{name}.{input}");
            let (_, value) = feed.iter().find(|(name, _)| *name == input).unwrap();
            value.array::<i64>().unwrap().iter().copied().collect()
        };
        let (ids, positions, labels) = (fed("input_ids"), fed("positions"), fed("labels"));
        assert_eq!((places.len(), positions.len()), (labels.len(), labels.len()));
        for ((&[row, place], &label), &position) in places.iter().zip(&labels).zip(&positions) {
            assert_eq!(i64::from(rows[row][place]), label);
            assert!(label >= 10, "{name}");
            let position = position as usize;
            if causal {
                assert_eq!(position, row * 32 + place - 1);
            } else {
                assert_eq!((position, ids[position]), (row * 32 + place, 4), "{name}");
            }
        }
        let ordinary = 20 + 9 + 30 + 1;
        assert_eq!(places.len(), if causal { ordinary } else { 3 + 1 + 5 + 1 });
        assert_eq!(predictor.asks(&batch, &preparation, &draw).unwrap().feed, feed);
    }
}
