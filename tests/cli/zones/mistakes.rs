//! Mistakes of users: the token, its rights, the zones that it sees, and an API that is away or busy.

use super::api::{ACCOUNT, TOKEN, ZONE, record, zone};
use super::scene::Scene;
use crate::program::{Ran, command, config};
use serde_json::{Value, json};
use std::net::TcpListener;

/// Runs it without an API: it must not come so far.
fn refused(args: &[&str]) -> String {
    let config = config("");
    let path = config.path().to_str().expect("UTF-8");
    let mut command = command(&[&["check", "--cloudflare", "--config", path], args].concat());
    let output = command.env_remove("CLOUDFLARE_API_TOKEN").output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!((output.status.code(), out.as_str()), (Some(64), ""), "{args:?}: {err}");
    assert!(!err.contains(TOKEN), "the token is in {err}");
    err
}

#[test]
fn without_a_token_it_says_where_to_get_one_and_with_which_rights() {
    let said = refused(&[]);
    for part in ["--cloudflare-token FILE", "CLOUDFLARE_API_TOKEN", "/profile/api-tokens"] {
        assert!(said.contains(part), "{said}");
    }
    for right in ["Zone Read", "Zone Settings Read", "SSL and Certificates Read", "DNS Read"] {
        assert!(said.contains(right), "{right} is not in {said}");
    }
}

#[test]
fn a_token_on_the_command_line_is_refused_and_not_repeated() {
    let instead = "write it into a file";
    assert!(refused(&[TOKEN]).contains(instead));
    let with_value = format!("--cloudflare={TOKEN}");
    let ran = crate::program::ravelin(&["check", &with_value, "config/demo"]);
    assert_eq!((ran.code, ran.out.as_str()), (64, ""));
    assert!(ran.err.contains(instead) && !ran.err.contains(TOKEN), "{}", ran.err);
    let said = refused(&["--cloudflare-token", TOKEN]);
    assert!(said.contains("takes the name of a file"), "{said}");
}

#[test]
fn a_file_without_a_token_is_named_by_its_option() {
    let mut scene = Scene::right();
    scene.token = "two words".to_owned();
    let ran = scene.run().ran;
    assert_eq!((ran.code, ran.out.as_str()), (64, ""));
    assert!(ran.err.contains("--cloudflare-token has no API token in it"), "{}", ran.err);
}

#[test]
fn options_that_do_not_go_together_are_64() {
    let token = config(TOKEN);
    let token = token.path().to_str().expect("UTF-8");
    let said = refused(&["--cloudflare-token", token, "--cloudflare-api", "http://127.0.0.1:1"]);
    assert!(said.contains("must be a URL with https"), "{said}");
    for line in [&["check", "--cloudflare", "config/demo"][..], &["check", "--node-address", "::1"]]
    {
        let ran = crate::program::ravelin(line);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{}", ran.err);
        assert!(ran.err.contains("required"), "{}", ran.err);
    }
}

/// The lines about zones, the exit code, and the targets that were asked for.
fn run(change: impl FnOnce(&mut Scene)) -> (String, i32, Vec<String>) {
    let mut scene = Scene::right();
    change(&mut scene);
    let outcome = scene.run();
    let Ran { code, ref err, .. } = outcome.ran;
    assert_eq!(err, "");
    (outcome.section(), code, outcome.seen)
}

#[test]
fn a_token_that_the_api_refuses_is_told_once() {
    let (said, code, seen) = run(|scene| scene.token = TOKEN.to_lowercase());
    assert_eq!((code, seen.len()), (1, 1), "{said}");
    assert!(
        said.starts_with("error: cloudflare: the API refuses the token (status 403)"),
        "{said}"
    );
    assert!(said.ends_with("3 routes, 1 errors, 0 warnings\n"), "{said}");
    let (said, ..) = run(|scene| {
        scene.world.refuse("/zones", &[(400, "")]);
    });
    assert!(said.contains("does not understand the token (status 400)"), "{said}");
}

#[test]
fn a_right_that_is_missing_costs_its_part_alone() {
    let (said, code, _) = run(|scene| {
        scene.world.setting("ssl", "flexible");
        for part in ["settings/min_tls_version", "origin_tls_client_auth/hostnames", "dns_records"]
        {
            scene.world.refuse(&format!("/zones/{ZONE}/{part}"), &[(403, "")]);
        }
        scene.world.refuse(&format!("/accounts/{ACCOUNT}/dns_settings"), &[(403, "")]);
    });
    for (part, right) in [
        ("the minimum TLS version", "Zone Settings Read"),
        ("Authenticated Origin Pulls (hosts)", "SSL and Certificates Read"),
        ("the DNS records", "DNS Read"),
        ("enforce_dns_only of the account", "Account DNS Settings Read"),
    ] {
        let line = format!(
            "not checked: zone example.com: {part}: needs the right {right}, which the token lacks\n"
        );
        assert!(said.contains(&line), "{line} is not in {said}");
    }
    assert_eq!((said.matches("not checked").count(), code), (4, 1), "{said}");
    assert!(said.contains("error: host app.example.com (zone example.com): ssl = \"flexible\""));
}

#[test]
fn hosts_without_a_zone_are_told_which_zones_the_token_sees() {
    let (said, code, _) = run(|scene| {
        let other = zone(&ZONE.replace('0', "1"), "example.org");
        let namesake = zone(&ZONE.replace('0', "2"), "ample.com");
        scene.world.lists.insert("/zones".to_owned(), vec![other, namesake]);
    });
    let line =
        "error: host app.example.com: no zone for it: the token may read ample.com, example.org";
    assert!(said.contains(line), "{said}");
    assert_eq!(code, 1);
    assert!(said.ends_with("3 routes, 3 errors, 0 warnings\n"), "{said}");
    let (said, ..) = run(|scene| {
        scene.world.lists.insert("/zones".to_owned(), Vec::new());
    });
    assert!(said.contains("the token may read no zone at all"), "{said}");
    // Where the others have one, it is a warning.
    let (said, code, _) = run(|scene| {
        scene.manifest("host: www.example.com", "host: www.example.net");
    });
    let line = "warning: host www.example.net: no zone for it: the token may read example.com (fix";
    assert!(said.contains(line), "{said}");
    assert_eq!(code, 0, "{said}");
}

#[test]
fn the_closest_zone_counts() {
    let (said, ..) = run(|scene| {
        let zones = scene.world.lists.get_mut("/zones").expect("it is there");
        zones.push(zone(&ZONE.replace('0', "1"), "pages.example.com"));
    });
    assert!(said.contains("zone example.com: 2 hosts"), "{said}");
    assert!(said.contains("zone pages.example.com: 1 host\n"), "{said}");
    let line =
        "not checked: zone pages.example.com: the SSL mode: the API answered with status 404";
    assert!(said.contains(line), "{said}");
}

#[test]
fn an_api_that_is_away_is_an_error_beside_the_rest() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("https://{}/client/v4", closed.local_addr().expect("an address"));
    drop(closed);
    let (said, code, _) = run(|scene| scene.base = Some(base));
    let begin = "error: cloudflare: the list of zones cannot be read: the API cannot be reached: ";
    assert!(said.starts_with(begin), "{said}");
    assert_eq!(code, 1);
}

#[test]
fn the_variable_has_the_token_where_no_file_is_named() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let config = config(&format!(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:80\"\n[source]\n\
         kind = \"directory\"\ndirectory = {:?}\n",
        folder.path()
    ));
    let path = config.path().to_str().expect("UTF-8");
    // Nobody listens at port 1.
    let api = ["--cloudflare", "--cloudflare-api", "https://127.0.0.1:1/client/v4"];
    let mut command = command(&[&["check", "--config", path], &api[..]].concat());
    let output = command.env("CLOUDFLARE_API_TOKEN", TOKEN).output().expect("the program runs");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    assert!(said.contains("the API cannot be reached") && !said.contains(TOKEN), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_limit_of_the_rate_is_waited_for() {
    let path = format!("/zones/{ZONE}/settings/ssl");
    let (said, code, seen) = run(|scene| {
        scene.world.refuse(&path, &[(429, "retry-after: 1\r\n"), (200, "")]);
    });
    assert_eq!(
        said,
        "zone example.com: 3 hosts, ssl = \"strict\"\n3 routes, 0 errors, 0 warnings\n"
    );
    assert_eq!((code, seen.iter().filter(|it| it.ends_with(&path)).count()), (0, 2));
}

#[test]
fn a_limit_that_lasts_ends_the_requests() {
    let path = format!("/zones/{ZONE}/settings/min_tls_version");
    let (said, code, seen) = run(|scene| {
        scene.world.refuse(&path, &[(429, "retry-after: 300\r\n")]);
    });
    let why = "the API limits the rate of requests; run this again in 300 s\n";
    assert_eq!(said.matches(why).count(), 9, "{said}");
    assert_eq!((code, seen.len()), (0, 3), "{seen:?}");
}

#[test]
fn lists_are_read_page_by_page() {
    let (said, _, seen) = run(|scene| {
        let zones = scene.world.lists.get_mut("/zones").expect("it is there");
        let more =
            (0..120).map(|number| zone(&format!("{number:032}"), &format!("z{number}.example")));
        zones.splice(0..0, more);
        let more = (0..250).map(|number| {
            record(
                &format!("more{number}"),
                "A",
                &format!("h{number}.example.com"),
                "192.0.2.1",
                true,
            )
        });
        scene.world.records().splice(0..0, more);
        scene.world.most_per_page = 100;
    });
    assert_eq!(
        said,
        "zone example.com: 3 hosts, ssl = \"strict\"\n3 routes, 0 errors, 0 warnings\n"
    );
    let pages = |part: &str| seen.iter().filter(|target| target.contains(part)).count();
    assert_eq!((pages("/zones?page="), pages("/dns_records?page=")), (3, 3), "{seen:#?}");
}

#[test]
fn what_is_too_much_or_not_of_the_api_is_not_taken() {
    let (said, code, seen) = run(|scene| {
        let more = (0..150).map(|number| {
            record(
                &format!("more{number}"),
                "A",
                &format!("h{number}.example.com"),
                "192.0.2.1",
                true,
            )
        });
        scene.world.records().extend(more);
        scene.world.most_per_page = 1;
        scene.world.object("/settings/ssl", json!({"id": "ssl", "value": 7}));
        let large = Value::from("x".repeat(5 << 20));
        scene.world.object("/settings/min_tls_version", json!({"value": "1.2", "more": large}));
    });
    for line in [
        "the DNS records: the list has more than 100 pages\n",
        "the SSL mode: the answer is not JSON of Cloudflare's API (line 1)\n",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    assert!(
        said.contains("the minimum TLS version: the answer cannot be used: the response has more")
    );
    assert!(seen.len() < 130 && code == 0, "{}", seen.len());
}
