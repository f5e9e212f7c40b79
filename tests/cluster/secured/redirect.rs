//! `ravelin.dev/https-redirect` in the hands of kubectl.

use super::Secured;
use crate::plane::Plane;

#[test]
fn visitors_without_tls_are_sent_to_it_for_as_long_as_the_annotation_says_so() {
    let Some(plane) = Plane::shared() else { return };
    let secured = Secured::start(&plane, "secret-redirect");
    secured.name_secret("shop");
    secured.certify(&secured.issue());
    let over_tls = secured.authority.client(None);
    secured.await_status(&over_tls, Some(200));
    let plain = |status| secured.edge.await_status(&secured.host, "/cart?a=1", status);
    for (annotation, status) in [
        ("ravelin.dev/https-redirect=true", 308),
        ("ravelin.dev/https-redirect=false", 200),
        ("ravelin.dev/https-redirect=true", 308),
        ("ravelin.dev/https-redirect-", 200),
    ] {
        secured.annotate(&[annotation]);
        plain(status);
        assert_eq!(secured.status(&over_tls).ok(), Some(200), "{annotation}");
    }
    // A word that is none is reported, and counts as if it was not there.
    secured.annotate(&["ravelin.dev/https-redirect=yes"]);
    secured.await_event("Invalid", "\"yes\" is not one of \"true\", \"false\"");
    plain(200);
}
