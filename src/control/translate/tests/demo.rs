//! The manifests of `config/demo`, which `ravelin demo` serves and which users start from.

use super::{Options, endpoints, options, routes};
use crate::control::files::Directory;
use crate::control::translate::translate;
use std::path::Path;

#[test]
fn the_demo_is_served_as_its_comments_say() {
    let mut demo = Directory::new([Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo")]);
    assert!(demo.scan(), "there are manifests");
    assert_eq!(demo.findings(), []);
    let local = Options { loopback_endpoints: true, ..options() };
    let (model, findings) = translate(&demo.objects(), &local);
    assert_eq!(findings, []);
    assert_eq!(
        routes(&model),
        [
            "admin.example.test Prefix / -> demo/admin:web",
            "example.test Prefix / -> demo/app:8080",
            "api.example.test Prefix /v1 -> demo/api:http",
            "api.example.test Exact /v1/status -> demo/admin:web",
            "api.example.test Prefix /v2 -> demo/soon:http",
            "app.example.test Prefix / -> demo/app:8080",
            "app.example.test Prefix /static -> demo/admin:80",
            "*.preview.example.test Prefix / -> demo/api:80",
        ]
    );
    let backends = model.backends.iter();
    let mut reached: Vec<_> = backends
        .map(|backend| format!("{} {}", backend.key, endpoints(backend).join(" ")))
        .collect();
    reached.sort();
    assert_eq!(
        reached,
        [
            "demo/admin:80 127.0.0.1:18083 ready",
            "demo/admin:web 127.0.0.1:18083 ready",
            "demo/api:80 127.0.0.1:18081 ready",
            "demo/api:http 127.0.0.1:18081 ready",
            "demo/app:8080 127.0.0.1:18081 ready 127.0.0.1:18082 ready",
            "demo/soon:http ",
        ]
    );
    assert_eq!(model.defaults.len(), 1);
}
