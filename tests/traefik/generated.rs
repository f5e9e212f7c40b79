//! Requests at random, of a seed that a failure names.

use crate::random::{Random, seeded};
use crate::request::Request;

/// Requests for one word of one case.
const ROUNDS: usize = 48;

/// The requests of a word of [`crate::cases::Case::generated`], the same for the same seed.
pub(crate) fn requests(word: &str, host: &str) -> Vec<Request> {
    let mut random = seeded(host);
    (0..ROUNDS).map(|_| request(word, &mut random)).collect()
}

fn request(word: &str, random: &mut Random) -> Request {
    let mut request =
        Request { method: "GET".to_owned(), target: "/".to_owned(), ..Request::default() };
    match word {
        "paths" => request.target = target(random),
        "redirects" => redirect(&mut request, random),
        "forwarded-for" => forwarded_for(&mut request, random),
        "authorization" => request.fields = authorization(random),
        "origins" => origins(&mut request, random),
        "fields" => request.fields = fields(random),
        "encodings" => encodings(&mut request, random),
        _ => panic!("nothing is generated for {word:?}"),
    }
    request
}

fn target(random: &mut Random) -> String {
    const SEGMENTS: [&str; 17] = [
        "api", "v1", "v22", "old", "foo", "apix", "a.b", "x;y", "%20", "%C3%A9", "a%2Db", "~u",
        "a+b", "%3F", "a,b", "@", "%7Ex",
    ];
    const QUERIES: [&str; 9] =
        ["a=1", "b", "c=%20", "d=a/b", "e=?", "f=%2F", "g=a+b", "=", "h=%C3%A9"];
    let mut target = format!("/{}", random.some(&SEGMENTS, 5, "/"));
    if random.one_in(4) && !target.ends_with('/') {
        target.push('/');
    }
    if random.one_in(2) {
        target += &format!("?{}", random.some(&QUERIES, 4, "&"));
    }
    target
}

fn redirect(request: &mut Request, random: &mut Random) {
    request.target = target(random);
    request.method =
        random.of(&["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]).to_owned();
    request.secure = random.one_in(4);
    if random.one_in(3) {
        request.from = Some([10, 77, 1, 7].into());
        let scheme = random.of(&["http", "https", "ws", "wss", "HTTPS"]);
        request.fields.push(format!("X-Forwarded-Proto: {scheme}"));
    }
}

fn forwarded_for(request: &mut Request, random: &mut Random) {
    const NODES: [&str; 12] = [
        "10.0.0.1",
        "10.1.2.3",
        "192.0.2.1",
        "192.0.2.77",
        "203.0.113.7",
        "198.51.100.4",
        "2001:db8::1",
        "2001:db8:1::2",
        "::ffff:10.0.0.9",
        "10.0.0.2:4711",
        "unknown",
        "10.77.1.9",
    ];
    if !random.one_in(5) {
        request.from = Some([10, 77, 1, 7].into());
    }
    for _ in 0..random.below(3) {
        let nodes = random.some(&NODES, 4, ", ");
        request.fields.push(format!("X-Forwarded-For: {nodes}"));
    }
}

/// Credentials, right and wrong: `ann:secret` and `bob:pass:word` are right.
fn authorization(random: &mut Random) -> Vec<String> {
    const VALUES: [&str; 14] = [
        "Basic YW5uOnNlY3JldA==",
        "Basic Ym9iOnBhc3M6d29yZA==",
        "basic YW5uOnNlY3JldA==",
        "BASIC YW5uOnNlY3JldA==",
        "Basic YW5uOndyb25n",
        "Basic QW5uOnNlY3JldA==",
        "Basic bm9ib2R5OnNlY3JldA==",
        "Basic YW5u",
        "Basic YW5uOg==",
        "Basic OnNlY3JldA==",
        "Basic !!!!",
        "Basic",
        "Bearer YW5uOnNlY3JldA==",
        "YW5uOnNlY3JldA==",
    ];
    let mut fields = Vec::new();
    if !random.one_in(8) {
        fields.push(format!("Authorization: {}", random.of(&VALUES)));
    }
    if random.one_in(3) {
        fields.push("X-User: mallory".to_owned());
    }
    fields
}

fn origins(request: &mut Request, random: &mut Random) {
    const ORIGINS: [&str; 8] = [
        "https://a.example",
        "https://b.example",
        "https://a.example:8443",
        "http://a.example",
        "https://x.re.example",
        "https://re.example",
        "null",
        "https://A.example",
    ];
    request.method = random.of(&["GET", "OPTIONS", "OPTIONS", "POST", "HEAD"]).to_owned();
    if !random.one_in(5) {
        request.fields.push(format!("Origin: {}", random.of(&ORIGINS)));
    }
    if request.method == "OPTIONS" && !random.one_in(4) {
        let method = random.of(&["GET", "PUT", "DELETE"]);
        request.fields.push(format!("Access-Control-Request-Method: {method}"));
        if random.one_in(2) {
            let names = random.some(&["x-a", "X-B", "content-type", "authorization"], 4, ",");
            request.fields.push(format!("Access-Control-Request-Headers: {names}"));
        }
    }
    let answer = crate::pods::Answer::of("app");
    let mut answer = answer;
    if random.one_in(3) {
        answer.fields.push(format!("Vary: {}", random.of(&["Accept", "Origin", "accept, origin"])));
    }
    if random.one_in(4) {
        answer.fields.push("Access-Control-Allow-Origin: https://pod.example".to_owned());
    }
    request.answers.insert("app".to_owned(), answer);
}

/// Fields of clients that middlewares set, delete and read, in any case and number.
fn fields(random: &mut Random) -> Vec<String> {
    const NAMES: [&str; 12] = [
        "X-Set",
        "x-set",
        "X-Gone",
        "x-gone",
        "X-Other",
        "Accept",
        "Cookie",
        "User-Agent",
        "X-Empty",
        "Referer",
        "Accept-Language",
        "Cache-Control",
    ];
    const VALUES: [&str; 8] = ["1", "two", "a, b", "\"q\"", "a;b=c", "", "  padded  ", "%20"];
    let count = random.below(7);
    let field = |random: &mut Random| format!("{}: {}", random.of(&NAMES), random.of(&VALUES));
    (0..count).map(|_| field(random)).collect()
}

fn encodings(request: &mut Request, random: &mut Random) {
    const CODINGS: [&str; 8] =
        ["gzip", "br", "gzip;q=0", "br;q=0.5", "identity", "deflate", "gzip;q=0.8", "zstd;q=0"];
    const TYPES: [&str; 6] = [
        "text/plain",
        "text/html; charset=utf-8",
        "application/json",
        "image/png",
        "application/octet-stream",
        "application/grpc",
    ];
    if !random.one_in(6) {
        request.fields.push(format!("Accept-Encoding: {}", random.some(&CODINGS, 4, ", ")));
    }
    let mut answer = crate::pods::Answer::of("app");
    answer.body = b"0123456789".iter().copied().cycle().take(random.below(4000)).collect();
    answer.fields.push(format!("Content-Type: {}", random.of(&TYPES)));
    if random.one_in(5) {
        answer.fields.push("Content-Encoding: br".to_owned());
    }
    if random.one_in(4) {
        answer.fields.push("Vary: Origin".to_owned());
    }
    request.answers.insert("app".to_owned(), answer);
}
