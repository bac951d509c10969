//! Which columns hold the text and the label.

use super::{Blame, TableOptions};
use crate::error::Result;

const TEXT: [&str; 3] = ["text", "sentence", "content"];
pub(crate) const LABEL: [&str; 3] = ["label", "class", "category"];

/// Indices of the text's column and of the label's, where there is one.
///
/// A name is matched exactly, or else without regard to ASCII case.
///
/// # Errors
/// [`Table`](crate::Error::Table) with the names that exist, when a named column does not, or
/// when no name was given and none of the usual ones exists.
pub(super) fn choose(
    names: &[&str],
    options: &TableOptions,
    blame: &Blame,
) -> Result<(usize, Option<usize>)> {
    let find = |name: &str| {
        let exact = names.iter().position(|n| *n == name);
        exact.or_else(|| names.iter().position(|n| n.eq_ignore_ascii_case(name)))
    };
    let missing = |name: &str| {
        blame.table(format!("it has no column `{name}`; its columns are {}", list(names)))
    };
    let label = match &options.label {
        Some(name) => Some(find(name).ok_or_else(|| missing(name))?),
        None => {
            // A text column that was asked for is not taken for a label as well.
            let text = options.text.as_deref().and_then(find);
            LABEL.iter().find_map(|name| find(name)).filter(|label| Some(*label) != text)
        }
    };
    let text = match &options.text {
        Some(name) => find(name).ok_or_else(|| missing(name))?,
        None => {
            let free = |i: &usize| Some(*i) != label;
            let usual = TEXT.iter().filter_map(|name| find(name)).find(free);
            let mut others = (0..names.len()).filter(free);
            let only = others.next().filter(|_| others.next().is_none());
            usual.or(only).ok_or_else(|| {
                blame.table(format!(
                    "it is not clear which column is the text (none is called {}); name it: its \
                     columns are {}",
                    list(&TEXT),
                    list(names)
                ))
            })?
        }
    };
    Ok((text, label))
}

const MOST_SHOWN: usize = 30;

/// The names in quotes, not more than a message can bear.
pub(crate) fn list(names: &[&str]) -> String {
    let shown = |name: &&str| match name.char_indices().nth(60) {
        Some((end, _)) => format!("`{}…`", &name[..end]),
        None => format!("`{name}`"),
    };
    let mut text = names.iter().take(MOST_SHOWN).map(shown).collect::<Vec<_>>().join(", ");
    if names.len() > MOST_SHOWN {
        text.push_str(&format!(" and {} more", names.len() - MOST_SHOWN));
    }
    text
}
