//! The page in a browser, where there is one: no errors on its console, every figure drawn, no
//! wider than a phone.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::place;

/// Makes the page as wide as wanted, since a window may not be that narrow, opens everything
/// that is folded and puts what is drawn into the title.
const LOOK: &str = "<script>
document.documentElement.style.width = 'WIDTHpx';
document.querySelectorAll('details').forEach(d => d.open = true);
addEventListener('load', () => {
  const drawn = [...document.querySelectorAll('svg, img')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width > 20 && box.height > 5 && (e.tagName !== 'IMG' || e.naturalWidth > 0);
  });
  document.title = JSON.stringify({
    drawn: drawn.length,
    over: document.body.scrollWidth - document.body.clientWidth,
    named: [...document.querySelectorAll('svg[role=img]')].every(e => e.ariaLabel),
  });
});
</script></body>";

/// What a browser makes of a page at a width: its document, and what it says.
fn opened(page: &Path, width: u32) -> Option<(String, String)> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(|name| {
        let profile = tempfile::tempdir().ok()?;
        let run = Command::new(name)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
            .args(["--dump-dom", "--virtual-time-budget=10000"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--window-size={width},900"))
            .arg(format!("file://{}", page.display()))
            .output();
        run.ok()
    })?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((text(found.stdout), text(found.stderr)))
}

#[test]
fn the_page_opens_without_errors_and_draws_every_figure() {
    let place = place(12);
    let run = ["inspect", "e.offshoot", "photos", "-o", "r.html"];
    place.offshoot(&run).assert().success();
    let page = fs::read_to_string(place.path("r.html")).unwrap();
    let figures = page.matches("<svg").count() + page.matches("<img").count();
    for width in [360, 1280] {
        let look = LOOK.replace("WIDTH", &width.to_string());
        fs::write(place.path("look.html"), page.replace("</body>", &look)).unwrap();
        let Some((document, said)) = opened(&place.path("look.html"), width) else {
            eprintln!("skipped: there is no Chromium to open the page with");
            return;
        };
        assert!(!said.contains("CONSOLE"), "{said}");
        let title = document.split("<title>").nth(1).and_then(|t| t.split("</title>").next());
        let seen: Value = serde_json::from_str(title.unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {title:?}; {said}"));
        assert_eq!(seen["drawn"], figures, "{seen}");
        assert_eq!((&seen["over"], &seen["named"]), (&0.into(), &true.into()), "{seen}");
    }
}
