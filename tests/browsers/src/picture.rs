//! Pictures of pages, for a person to look at, of which a program has already looked at a part.

use jackfield_testing::chromium::Page;
use jackfield_testing::runtimes::node_folder;
use serde_json::json;
use tokio::fs;

use crate::output;

/// Takes a picture of a page that stands still, as `NAME.png` among the tests' [output], once it is
/// sure that nothing reaches beyond the window, and that everyone can use it as far as axe-core can
/// tell: names for what has a function, contrast, headings, landmarks.
///
/// # Panics
/// Where something does, or someone can't.
pub async fn picture(page: &Page, name: &str) {
    // A page behind another one draws nothing.
    let front = page.call("Page.bringToFront", json!({})).await;
    front.expect("the page is in front");
    // Half a transition has half a colour; those that never end have no text.
    let still = "document.getAnimations().every(
        (animation) => animation.effect.getComputedTiming().endTime === Infinity)";
    page.wait_for(still).await.expect("it stands still");
    // A control that is out of sight must not make the page wider than the window.
    let within = "document.scrollingElement.scrollWidth <= innerWidth";
    let within = page.evaluate::<bool>(within).await;
    assert!(
        within.expect("an answer"),
        "{name} is wider than its window"
    );

    let axe = node_folder().join("node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(axe).await.expect("axe-core");
    let look = format!(
        "(async () => {{
            if (!globalThis.axe) {{ {axe} }}
            const {{ violations }} = await globalThis.axe.run({{ resultTypes: ['violations'] }});
            return violations.flatMap(({{ help, nodes }}) => nodes.map(
                ({{ html, failureSummary }}) => `${{help}}: ${{html}}: ${{failureSummary}}`));
        }})()"
    );
    let violations = page.evaluate::<Vec<String>>(&look).await;
    let violations = violations.expect("what axe-core finds");
    assert!(violations.is_empty(), "{name}: {}", violations.join("\n"));

    let file = output().join(format!("{name}.png"));
    page.screenshot(file).await.expect("a picture");
}
