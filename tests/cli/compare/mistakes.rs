//! What users get wrong: addresses, options, and inputs without the routes.

use super::player::{Asked, Player, reply, resetting};
use super::{ROUTES, of, welcome};
use crate::program::ravelin;
use std::net::TcpListener;

/// What is said where nothing could be compared, with this exit code.
fn refused(code: i32, routes: &str, line: &[&str]) -> String {
    let ran = of(routes, line, &[]);
    assert_eq!(ran.code, code, "{line:?}: {ran:?}");
    ran.err + &ran.out
}

#[test]
fn places_that_are_no_proxies_are_named_with_what_to_do() {
    let plain = Player::start(welcome);
    let tls = Player::secure(&["front.example"], welcome);
    let nobody = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", free.local_addr().expect("bound"))
    };
    let go =
        Player::start(|_| reply(400, &[], "Client sent an HTTP request to an HTTPS server.\n"));
    let (plain, tls, go, gate) = (plain.url(), tls.https(), go.url(), resetting());
    let turned = |url: &str, from: &str, to: &str| url.replace(from, to);
    let (tls_as_plain, plain_as_tls) =
        (turned(&tls, "https:", "http:"), turned(&plain, "http:", "https:"));
    for (line, expected) in [
        (["--with", &nobody, "--ravelin", &plain], "Traefik at http://127.0.0.1:"),
        (["--with", &nobody, "--ravelin", &plain], "is the port right"),
        (["--with", &go, "--ravelin", &plain], "give it as --with-https https://127.0.0.1:"),
        (["--with", &plain, "--ravelin", &tls_as_plain], "give it as --ravelin-https https://"),
        (["--with", &plain, "--ravelin", &gate], "admits configured sources only"),
        (["--with-https", &plain_as_tls, "--ravelin-https", &tls], "give it as --with http://"),
    ] {
        let said = refused(2, ROUTES, &line);
        assert!(said.contains(expected), "{line:?}: {said}");
    }
    for (line, expected) in [
        (["--with", &tls, "--ravelin", &plain], "give this one as --with-https"),
        (["--with-https", &plain, "--ravelin-https", &tls], "give this one as --with;"),
        (["--with", "127.0.0.1:80", "--ravelin", &plain], "write http://ADDRESS:PORT"),
        (["--with", "http://127.0.0.1:80/path", "--ravelin", &plain], "it has a path"),
    ] {
        let said = refused(64, ROUTES, &line);
        assert!(said.contains(expected), "{line:?}: {said}");
    }
    let alone = ravelin(&["compare", "--with", &plain]);
    assert_eq!(alone.code, 64);
    assert!(alone.err.contains("--ravelin"), "{}", alone.err);
}

#[test]
fn answers_that_are_all_404_say_nothing_of_the_routes() {
    let nothing = |_: &Asked| reply(404, &[], "404 page not found\n");
    let (empty, full) = (Player::start(nothing), Player::start(welcome));
    let (empty, full) = (empty.url(), full.url());
    for (line, expected) in [
        (["--with", &empty, "--ravelin", &full], "is --with the entry point of these routes?"),
        (
            ["--with", &full, "--ravelin", &empty],
            "does it serve the class (source.ingress_classes)",
        ),
    ] {
        let said = refused(2, ROUTES, &line);
        assert!(said.contains("cannot be compared: ") && said.contains(expected), "{said}");
    }
}

#[test]
fn an_input_without_the_routes_is_said() {
    let plain = Player::start(welcome);
    let other = Player::start(welcome);
    let (theirs, ours) = (plain.url(), other.url());
    let places = ["--with", &theirs, "--ravelin", &ours];
    let said = refused(2, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n", &places);
    assert!(said.contains("there is no route of the class traefik in the input"), "{said}");
    let ran = of(ROUTES, &places, &["--host", "fornt.example"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains(
            "no route of the input is for --host fornt.example; did you mean front.example?"
        ),
        "{}",
        ran.err
    );
    assert_eq!(plain.lines(), Vec::<String>::new(), "nothing was sent");
}
