//! The page in a real browser: wide, narrow, light and dark.

use super::browser::Browser;
use super::{IMAGE, SCRIPT, site};
use crate::support::{Edge, Upstream, program};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::path::PathBuf;

/// A folder for pictures of the page, for people to look at.
const PICTURES: &str = "RAVELIN_TEST_PICTURES";

/// Whether a section has rows, and none that says that there are none.
fn has_rows(section: &str) -> String {
    format!(
        "document.querySelectorAll('#{section} tbody td').length > 0 \
         && document.querySelectorAll('#{section} td.empty').length === 0"
    )
}

fn keep(browser: &mut Browser, name: &str) {
    let Some(folder) = std::env::var_os(PICTURES).map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    let picture = BASE64_STANDARD.decode(browser.picture()).expect("base64");
    std::fs::write(folder.join(format!("{name}.png")), picture).expect("a file");
}

fn look(browser: &mut Browser, edge: &Edge, width: u32, scheme: &str) {
    browser.open(&format!("http://{}/", edge.admin()), width, scheme);
    browser.until("document.documentElement && document.documentElement.dataset.polled > 0");
    for section in ["findings", "routes", "requests", "failures", "certificates", "gate", "pods"] {
        assert_eq!(browser.value(&has_rows(section)), true, "{section} at {width}");
    }
    assert_eq!(browser.value("document.querySelector('#state').textContent"), "ready");
    // Nothing is wider than the screen, and the colours follow the visitor's choice.
    assert_eq!(
        browser.value("document.documentElement.scrollWidth <= innerWidth"),
        true,
        "{width}"
    );
    let ground = browser.value("getComputedStyle(document.body).backgroundColor");
    let expected = if scheme == "dark" { "rgb(18, 22, 28)" } else { "rgb(246, 247, 249)" };
    assert_eq!(ground, expected);
    keep(browser, &format!("{width}-{scheme}"));
}

#[test]
fn a_browser_shows_it_wide_narrow_and_dark_without_a_complaint() {
    let Some(chromium) = program("chromium") else { return };
    let pod = Upstream::saying("ok");
    let edge = site(&pod).start();
    for _ in 0..3 {
        assert_eq!(edge.get("shop.example", "/").status(), 200);
    }
    assert_eq!(edge.get("shop.example", "/api").status(), 503);
    let mut browser = Browser::start(&chromium);
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")] {
        look(&mut browser, &edge, width, scheme);
    }
    // What is hostile is there, as text.
    let texts = browser.value("document.querySelector('#findings tbody').textContent");
    let texts = texts.as_str().expect("a text");
    assert!(texts.contains(SCRIPT) && texts.contains(IMAGE), "{texts}");
    assert_eq!(browser.value("document.title"), "ravelin");
    assert_eq!(browser.value("document.querySelectorAll('main script, main img').length"), 0);
    // The form.
    browser.value(
        "document.querySelector('form [name=host]').value = 'shop.example'; \
         document.querySelector('form [name=from]').value = '127.0.0.1'; \
         document.querySelector('form').requestSubmit()",
    );
    browser.until("document.querySelector('#explanation').textContent.includes('forwarded')");
    keep(&mut browser, "explain");
    // The search.
    browser.value(
        "{ const field = document.querySelector('#routes input'); field.value = '/api'; \
         field.dispatchEvent(new Event('input')) }",
    );
    browser.until("document.querySelectorAll('#routes tbody tr').length === 1");
    // The next poll makes rates.
    browser.until("document.documentElement.dataset.polled > 1");
    browser.until("/^[0-9]/.test(document.querySelector('#requests tbody td.number').textContent)");
    assert_eq!(browser.complaints, Vec::<String>::new());
}
