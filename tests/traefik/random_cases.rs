//! Cases at random: middlewares whose fields are drawn, under the kind `random`, with requests that are drawn
//! as well.

use crate::cases::Case;
use crate::random::{Random, seeded};
use serde_json::{Map, Value, json};

/// Cases of each sort.
const COUNT: usize = 8;

/// Draws the middlewares of a case.
type Draw = fn(&mut Random) -> Vec<Value>;

/// What is drawn, and the word of `generated.rs` for it.
const SORTS: [(&str, &str, Draw); 8] = [
    ("headers", "fields", headers),
    ("cors", "origins", cors),
    ("security", "fields", security),
    ("redirect-scheme", "redirects", redirect_scheme),
    ("redirect-regex", "redirects", redirect_regex),
    ("source", "forwarded-for", source),
    ("path", "paths", path),
    ("compress", "encodings", compress),
];

/// All of them, the same for the same seed.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (sort, word, draw) in SORTS {
        for at in 0..COUNT {
            let name = format!("{sort}-{at}");
            let middlewares = draw(&mut seeded(&name));
            cases.push(Case::drawn("random", &name, middlewares, word));
        }
    }
    cases
}

fn headers(random: &mut Random) -> Vec<Value> {
    let mut draw = |values: &[&str]| {
        const NAMES: [&str; 10] = [
            "X-Set",
            "x-gone",
            "X-OTHER",
            "Cache-Control",
            "X-Empty",
            "User-Agent",
            "Cookie",
            "Referer",
            "Accept",
            "X-New",
        ];
        let count = random.below(5);
        let fields = (0..count).map(|_| (random.of(&NAMES).to_owned(), random.of(values).into()));
        // Of one name in two spellings either may be written: Go's maps have no order.
        let mut fields: Vec<(String, Value)> = fields.collect();
        fields.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        fields.dedup_by_key(|(name, _)| name.to_ascii_lowercase());
        Value::Object(fields.into_iter().collect())
    };
    let requests = draw(&["one", "", "a, b", "%20"]);
    let responses = draw(&["out", "", "no-store"]);
    vec![json!({"headers": {"customRequestHeaders": requests, "customResponseHeaders": responses,
        "referrerPolicy": "origin"}})]
}

fn cors(random: &mut Random) -> Vec<Value> {
    const ORIGINS: [&str; 4] =
        ["https://a.example", "https://b.example", "http://a.example", "https://a.example:8443"];
    let mut options = Map::new();
    let count = random.below(3);
    let origins: Vec<&str> = (0..count).map(|_| random.of(&ORIGINS)).collect();
    options.insert("accessControlAllowOriginList".into(), json!(origins));
    if random.one_in(3) {
        let regex = random.of(&[r"^https://.*\.re\.example$", r"example", r"^https?://[ab]\."]);
        options.insert("accessControlAllowOriginListRegex".into(), json!([regex]));
    }
    for (name, value) in [
        ("accessControlAllowMethods", json!(["GET", "PUT"])),
        ("accessControlAllowHeaders", json!(["X-A", "content-type"])),
        ("accessControlExposeHeaders", json!(["X-E"])),
        ("accessControlMaxAge", json!(100)),
        ("accessControlAllowCredentials", json!(true)),
        ("addVaryHeader", json!(true)),
    ] {
        if random.one_in(2) {
            options.insert(name.into(), value);
        }
    }
    options.insert("frameDeny".into(), json!(true));
    vec![json!({"headers": options})]
}

fn security(random: &mut Random) -> Vec<Value> {
    let mut options = Map::new();
    for (name, value) in [
        ("stsSeconds", json!(random.below(3) * 500)),
        ("stsIncludeSubdomains", json!(true)),
        ("stsPreload", json!(true)),
        ("forceSTSHeader", json!(true)),
        ("frameDeny", json!(true)),
        ("customFrameOptionsValue", json!("SAMEORIGIN")),
        ("contentTypeNosniff", json!(true)),
        ("browserXssFilter", json!(true)),
        ("customBrowserXSSValue", json!("1; report=/x")),
        ("contentSecurityPolicy", json!("default-src 'self'")),
        ("referrerPolicy", json!("same-origin")),
        ("permissionsPolicy", json!("camera=()")),
        ("isDevelopment", json!(false)),
    ] {
        if random.one_in(2) {
            options.insert(name.into(), value);
        }
    }
    options.insert("customResponseHeaders".into(), json!({"X-Out": "o"}));
    vec![json!({"headers": options})]
}

fn redirect_scheme(random: &mut Random) -> Vec<Value> {
    let mut options = Map::new();
    options.insert("scheme".into(), random.of(&["https", "https", "http"]).into());
    if random.one_in(2) {
        options.insert("port".into(), random.of(&["443", "8443", "80"]).into());
    }
    options.insert("permanent".into(), random.one_in(2).into());
    vec![json!({"redirectScheme": options})]
}

fn redirect_regex(random: &mut Random) -> Vec<Value> {
    const RULES: [(&str, &str); 9] = [
        ("^https?://[^/]+/api/(.*)", "https://api.example/$1"),
        ("^(https?)://([^/]+)/old(/.*)?$", "$1://$2/new${2}"),
        ("/(v[0-9]+)/", "/version/${1}/"),
        ("^http://(.*)$", "https://${1}"),
        ("(?i)FOO", "bar"),
        ("^.*/x;y(.*)$", "https://x.example/?rest=$1"),
        ("[?].*$", ""),
        ("^https?://([^/]+)(.*)/$", "https://${1}${2}"),
        ("a.b", "a-b"),
    ];
    let (regex, replacement) = RULES[random.below(RULES.len())];
    let permanent = random.one_in(2);
    vec![json!({"redirectRegex":
        {"regex": regex, "replacement": replacement, "permanent": permanent}})]
}

fn source(random: &mut Random) -> Vec<Value> {
    const RANGES: [&str; 8] = [
        "10.0.0.0/8",
        "192.0.2.0/24",
        "192.0.2.1",
        "203.0.113.0/28",
        "2001:db8::/32",
        "127.0.0.0/8",
        "10.77.0.0/16",
        "198.51.100.4/32",
    ];
    let count = 1 + random.below(3);
    let ranges: Vec<&str> = (0..count).map(|_| random.of(&RANGES)).collect();
    let strategy = match random.below(4) {
        0 => json!(null),
        1 => json!({"depth": 1 + random.below(3)}),
        2 => json!({"excludedIPs": [random.of(&RANGES), random.of(&RANGES)]}),
        _ => json!({"depth": 1, "ipv6Subnet": 48}),
    };
    let mut list = json!({"sourceRange": ranges});
    if !strategy.is_null() {
        list["ipStrategy"] = strategy;
    }
    vec![json!({"ipAllowList": list})]
}

fn path(random: &mut Random) -> Vec<Value> {
    const PREFIXES: [&str; 6] = ["/api", "/v1", "/foo/", "/a", "/old", "/x;y"];
    const REGEXES: [&str; 5] = ["/v[0-9]+", "^/[a-z]+/", "/foo.*?/", "^/(api|old)", "/[^/]*"];
    const RULES: [(&str, &str); 5] = [
        ("^/api/(.*)", "/$1"),
        ("(.*)/$", "${1}"),
        ("^/([^/]+)/([^/]+)", "/${2}/${1}"),
        ("o", "0"),
        ("^/foo", "/foo/bar"),
    ];
    let count = 1 + random.below(2);
    let step = |random: &mut Random| match random.below(5) {
        0 => json!({"stripPrefix": {"prefixes": [random.of(&PREFIXES), random.of(&PREFIXES)]}}),
        1 => json!({"stripPrefixRegex": {"regex": [random.of(&REGEXES)]}}),
        2 => json!({"addPrefix": {"prefix": random.of(&["/pre", "/a/b", "/%20"])}}),
        3 => json!({"replacePath": {"path": random.of(&["/fixed", "/", "/a b"])}}),
        _ => {
            let (regex, replacement) = RULES[random.below(RULES.len())];
            json!({"replacePathRegex": {"regex": regex, "replacement": replacement}})
        }
    };
    (0..count).map(|_| step(random)).collect()
}

fn compress(random: &mut Random) -> Vec<Value> {
    let mut options = Map::new();
    if random.one_in(2) {
        options.insert("minResponseBodyBytes".into(), (500 * random.below(4)).into());
    }
    match random.below(3) {
        0 => options.insert("includedContentTypes".into(), json!(["text/plain", "image/png"])),
        1 => {
            options.insert("excludedContentTypes".into(), json!(["text/html", "application/json"]))
        }
        _ => None,
    };
    if random.one_in(3) {
        options.insert("encodings".into(), json!([random.of(&["gzip", "br"])]));
    }
    vec![json!({"compress": options})]
}
