//! The table from operator to rule.
//!
//! `dy` is the gradient of the output `y`; a rule gives that of each input. Sums over
//! broadcast dimensions are understood. Operators whose output is not floating-point, or
//! is constant almost everywhere, end the path.
//!
#![doc = include_str!("TABLE.md")]

mod activation;
mod arithmetic;
mod convolution;
mod einsum;
mod embedding;
mod layout;
mod loss;
mod movement;
mod normalisation;
mod pooling;
mod product;
mod reduction;
mod resize;
mod scatter;
mod statistics;

use super::backward::Backward;
use crate::error::Result;

/// A rule: adds the operators that compute the gradients of an operator's inputs.
pub(crate) type Apply = fn(&mut Backward<'_>) -> Result<()>;

/// A row of the table.
pub struct Rule {
    /// The operator, of the ONNX specification.
    pub operator: &'static str,
    /// The gradient, as a formula.
    pub formula: &'static str,
    apply: Apply,
}

/// A row of the table, for the files that hold them.
const fn rule(operator: &'static str, formula: &'static str, apply: Apply) -> Rule {
    Rule { operator, formula, apply }
}

/// All rules, by kind of operator.
pub const TABLES: &[&[Rule]] = &[
    activation::RULES,
    arithmetic::RULES,
    convolution::RULES,
    einsum::RULES,
    embedding::RULES,
    layout::RULES,
    loss::RULES,
    movement::RULES,
    normalisation::RULES,
    pooling::RULES,
    product::RULES,
    reduction::RULES,
    resize::RULES,
    scatter::RULES,
    statistics::RULES,
];

/// The table as Markdown: operator and gradient.
pub fn table() -> String {
    let mut text = String::from("| operator | gradient |\n| --- | --- |\n");
    for rule in TABLES.iter().copied().flatten() {
        let formula = match rule.formula {
            "0" => "none: it ends the path",
            formula => &formula.replace('|', "\\|"),
        };
        text.push_str(&format!("| `{}` | {formula} |\n", rule.operator));
    }
    text
}

/// The rule of an operator.
pub(crate) fn find(domain: &str, operator: &str) -> Option<Apply> {
    if !domain.is_empty() && domain != "ai.onnx" {
        return None;
    }
    TABLES.iter().copied().flatten().find(|rule| rule.operator == operator).map(|rule| rule.apply)
}

/// The gradient of an operator that is constant almost everywhere.
fn zero(_: &mut Backward<'_>) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{TABLES, table};

    #[test]
    fn every_operator_stands_once_in_the_table() {
        let text = table();
        let mut seen = HashSet::new();
        for rule in TABLES.iter().copied().flatten() {
            assert!(seen.insert(rule.operator), "{} has two rules", rule.operator);
            assert!(!rule.formula.is_empty(), "{}", rule.operator);
            assert!(text.contains(&format!("| `{}` | ", rule.operator)));
        }
        assert_eq!(text.lines().count(), seen.len() + 2);
        let documented = include_str!("TABLE.md");
        assert_eq!(text, documented, "write rules::table() to rules/TABLE.md");
    }
}
