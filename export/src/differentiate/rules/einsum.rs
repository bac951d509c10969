//! Sums of products by an equation.

use super::super::backward::{Backward, shape_of};
use super::{Rule, rule};
use crate::error::Result;
use crate::graph::{Attribute, TensorType, Value};

pub(super) const RULES: &[Rule] =
    &[rule("Einsum", "each factor: the product of dy and the other factors, by an Einsum", einsum)];

/// The terms of an equation and its result, which follows from the terms if it is not
/// stated: letters that occur once, in alphabetical order.
fn parse(equation: &str) -> (Vec<String>, String) {
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (terms, result) = match equation.split_once("->") {
        Some((terms, result)) => (terms.to_owned(), result.to_owned()),
        None => {
            let mut once: Vec<char> = equation.chars().filter(|c| *c != ',').collect();
            once.sort_unstable();
            let all = once.clone();
            once.retain(|c| all.iter().filter(|d| *d == c).count() == 1);
            (equation.clone(), once.into_iter().collect())
        }
    };
    (terms.split(',').map(str::to_owned).collect(), result)
}

fn einsum(b: &mut Backward<'_>) -> Result<()> {
    let equation = b.attributes().string("equation");
    let (terms, result) = parse(&equation);
    let repeated = |term: &String| {
        term.chars().enumerate().any(|(at, c)| term.chars().skip(at + 1).any(|d| c == d))
    };
    if equation.contains('.') || terms.iter().any(repeated) || terms.len() != b.inputs() {
        return Err(b.unsupported(&format!(
            "has the equation `{equation}`; only terms without dots and repeated letters have a \
             gradient rule"
        )));
    }
    for (at, term) in terms.iter().enumerate() {
        if b.wants(at) {
            let gradient = by(b, at, term, &terms, &result)?;
            b.give(at, gradient)?;
        }
    }
    Ok(())
}

/// The gradient of the factor `at`.
fn by(
    b: &mut Backward<'_>,
    at: usize,
    term: &str,
    terms: &[String],
    result: &str,
) -> Result<Value> {
    let mut names = vec![result.to_owned()];
    let mut factors = vec![b.gradient()?];
    for (other, name) in terms.iter().enumerate() {
        if other != at {
            names.push(name.clone());
            factors.push(b.input(other)?);
        }
    }
    let (mut kept, mut alone) = (String::new(), Vec::new());
    for (place, letter) in term.chars().enumerate() {
        if names.iter().any(|name| name.contains(letter)) {
            kept.push(letter);
        } else {
            alone.push(place as i64);
        }
    }
    let product = if names.len() == 1 && names.first() == Some(&kept) {
        b.gradient()?
    } else {
        let equation = format!("{}->{kept}", names.join(","));
        b.g.op("Einsum", &factors, vec![Attribute::string("equation", &equation)])?
    };
    if alone.is_empty() {
        return Ok(product);
    }
    // What the equation sums over in this factor alone has the same gradient everywhere.
    let axes = b.g.integers(&alone)?;
    let lifted = b.pair("Unsqueeze", product, axes)?;
    let x = b.input(at)?;
    let kind = TensorType::new(b.g.tensor_type(product)?.element, b.kind(at)?.shape);
    let sizes = shape_of(b.g, x)?;
    b.g.push("Expand", &[lifted, sizes], vec![], kind)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn results_follow_from_the_terms() {
        let terms = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(parse("bi, ij -> bj"), (terms(&["bi", "ij"]), "bj".into()));
        assert_eq!(parse("bj,ja"), (terms(&["bj", "ja"]), "ab".into()));
        assert_eq!(parse("ij->"), (terms(&["ij"]), String::new()));
    }
}
