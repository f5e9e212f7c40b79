//! Files of a site.

use ravelin::net::random::nth;

/// The parts that Cloudflare asks for ("Origin Range Requests").
pub(super) const PART: usize = 1024 * 1024;

/// A file of the backend.
pub(super) struct Object {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Whether a whole response is compressed for those who accept it.
    pub(super) is_compressed: bool,
}

impl Object {
    fn new(name: &str, length: usize, is_compressed: bool) -> Self {
        Self { name: name.to_owned(), bytes: content(name, length, 0), is_compressed }
    }

    /// Another version, of another length: nginx makes ETags of time and length.
    pub(super) fn change(&mut self, version: usize) {
        let length = self.bytes.len() / 1000 * 1000 + version;
        self.bytes = content(&self.name, length, version as u64);
    }
}

/// Text that compresses, or bytes that do not.
fn content(name: &str, length: usize, version: u64) -> Vec<u8> {
    let number = |n: usize| nth(version + name.len() as u64, n as u64);
    if name.ends_with("png") {
        return (0..=length / 8).flat_map(|n| number(n).to_le_bytes()).take(length).collect();
    }
    let lines =
        (0..=length / 20).map(|n| format!("{:09} of {name}: {}\n", number(n) % 100_000, n % 7));
    lines.collect::<String>().into_bytes()[..length].to_vec()
}

/// All of them. The long ones are few: a debug build compresses slowly.
pub(super) fn objects() -> Vec<Object> {
    vec![
        Object::new("empty.txt", 0, false),
        Object::new("one.txt", 1, false),
        Object::new("short.txt", 900, false),
        Object::new("page.txt", 5_000, true),
        Object::new("app.js", 60_000, true),
        Object::new("logo.svg", 20_000, true),
        Object::new("photo.png", 150_000, false),
        Object::new("fixed.txt", 30_000, false),
        Object::new("exact.png", PART, false),
        Object::new("film.png", 2 * PART + 4_321, false),
        Object::new("long.txt", PART + 1, true),
    ]
}
