//! Authenticated Origin Pulls, with the authority in a Secret.

use super::{Secured, authority::Authority, put_authority};
use crate::plane::Plane;

#[test]
fn a_host_that_requires_certificates_is_shut_without_its_authority_and_opens_with_it() {
    let Some(plane) = Plane::shared() else { return };
    let secured = Secured::start(&plane, "secret-clients");
    secured.name_secret("shop");
    secured.certify(&secured.issue());
    let [pulls, others] = ["Pulls", "Others"].map(Authority::new);
    let stranger = secured.authority.client(None);
    let [good, bad] = [&pulls, &others].map(|authority| {
        let own = authority.issue(&["pull.example"]);
        secured.authority.client(Some(&own))
    });
    secured.await_status(&stranger, Some(200));

    // Closed while the Secret is missing, whatever somebody shows, and without TLS, too.
    secured.annotate(&["ravelin.dev/client-certificate=require", "ravelin.dev/client-ca=pulls"]);
    secured.await_status(&stranger, None);
    assert!(secured.status(&good).is_err(), "nobody's certificate is good");
    assert_eq!(secured.edge.get(&secured.host, "/").0, 403);
    let failing = "ravelin_tls_client_authority_failing";
    secured.await_metric(failing, &[("counts", "nothing")], 1.0);
    secured.await_event("SecretUnusable", "there is no Secret \"pulls\"");

    put_authority(&plane, "secret-clients", "pulls", &pulls.pem());
    secured.await_status(&good, Some(200));
    for wrong in [&stranger, &bad] {
        assert!(secured.status(wrong).is_err());
    }
    secured.await_metric(failing, &[("counts", "nothing")], 0.0);

    // It goes, and its last good content counts; then another one is in its place.
    secured.kubectl(&["delete", "secret", "pulls"]);
    secured.await_metric(failing, &[("counts", "last_good")], 1.0);
    assert_eq!(secured.status(&good).ok(), Some(200));
    assert!(secured.status(&bad).is_err());
    put_authority(&plane, "secret-clients", "pulls", &others.pem());
    secured.await_status(&bad, Some(200));
    assert!(secured.status(&good).is_err());
    secured.await_metric(failing, &[("counts", "last_good")], 0.0);

    // A Secret of another namespace is nobody's authority.
    plane.namespace("secret-clients-foreign");
    put_authority(&plane, "secret-clients-foreign", "foreign", &pulls.pem());
    for name in ["secret-clients-foreign/foreign", "foreign"] {
        secured.annotate(&[&format!("ravelin.dev/client-ca={name}")]);
        secured.await_status(&bad, None);
        assert!(secured.status(&good).is_err(), "{name}");
        secured.annotate(&["ravelin.dev/client-ca=pulls"]);
        secured.await_status(&bad, Some(200));
    }

    // The way back of deploy/full-strict.md, step 7.
    secured.annotate(&["ravelin.dev/client-certificate=request"]);
    secured.await_status(&stranger, Some(200));
    assert_eq!(secured.edge.get(&secured.host, "/").0, 200);
    secured.annotate(&["ravelin.dev/client-certificate-", "ravelin.dev/client-ca-"]);
    secured.await_metric(failing, &[("counts", "nothing")], 0.0);
    secured.await_status(&stranger, Some(200));
}
