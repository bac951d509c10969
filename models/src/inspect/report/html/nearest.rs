//! Examples with their nearest others, to be looked at.

use std::fmt::Write;

use offshoot_adapters::metrics::svg::escaped;

use super::short;
use crate::inspect::report::{Report, Shown};

/// A table of some examples, each with its nearest others.
pub(super) fn table(page: &mut String, report: &Report) {
    let _ = writeln!(
        page,
        "<details><summary>{}: nearest neighbours to look at</summary><div class=\"wide\" \
         role=\"region\" tabindex=\"0\" aria-label=\"nearest neighbours\"><table>",
        escaped(&report.encoder)
    );
    let most = report.nearest.iter().map(|each| each.nearest.len()).max().unwrap_or(0);
    page.push_str("<tr><th scope=\"col\">example</th>");
    for place in 1..=most {
        let _ = write!(page, "<th scope=\"col\">nearest, {place}</th>");
    }
    page.push_str("</tr>\n");
    let look = |shown: &Shown| {
        let picture = shown.picture.as_deref().unwrap_or_default();
        format!("<span class=\"shown\">{picture}{}</span>", escaped(&short(&shown.title)))
    };
    for each in &report.nearest {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", look(&each.example));
        for (shown, cosine) in &each.nearest {
            let _ = write!(page, "<td>{}<small>cosine {cosine:.2}</small></td>", look(shown));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div></details>\n");
}
