//! The fuzz targets without a fuzzer, on any compiler: over their corpus, and over mutations of it.

mod targets;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::fs;
use std::path::Path;

/// Mutations for each target: about a second in a build without optimisation.
const MUTATIONS: usize = 4_000;

/// The files of a corpus by name, so that a run can be repeated.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(folder).expect("a corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.sort();
    assert!(files.len() >= 5, "only {} files seen", files.len());
    files.iter().map(|file| fs::read(file).expect("a readable file")).collect()
}

fn run(target: &str, body: fn(&[u8])) {
    let corpus = corpus(target);
    for data in &corpus {
        body(data);
    }
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for _ in 0..MUTATIONS {
        let mut data = pick(&corpus, &mut random).clone();
        for _ in 0..=below(4, &mut random) {
            mutate(&mut data, &corpus, &mut random);
        }
        body(&data);
    }
}

/// A number in 0..`end`; `end` is small.
fn below(end: usize, random: &mut TestRng) -> usize {
    random.next_u32() as usize % end
}

fn pick<'c>(corpus: &'c [Vec<u8>], random: &mut TestRng) -> &'c Vec<u8> {
    &corpus[below(corpus.len(), random)]
}

/// What libFuzzer does most: a bit, a byte, a number, a piece more or less, half of another file.
fn mutate(data: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut TestRng) {
    let at = below(data.len() + 1, random);
    let byte = *b"\r\n :.0\xff\x00\x20\x21".get(below(20, random)).unwrap_or(&b'1');
    match below(6, random) {
        0 if at < data.len() => data[at] ^= 1 << below(8, random),
        1 if at < data.len() => data[at] = byte,
        2 => data.insert(at, byte),
        3 => data.truncate(at),
        4 => {
            let end = data.len().min(at + below(8, random));
            data.drain(at..end);
        }
        _ => {
            let other = pick(corpus, random);
            data.truncate(at);
            data.extend(&other[below(other.len() + 1, random)..]);
        }
    }
}

#[test]
fn version_1_keeps_its_word() {
    run("v1", targets::v1);
}

#[test]
fn version_2_keeps_its_word() {
    run("v2", targets::v2);
}

#[test]
fn segments_make_no_difference() {
    run("split", targets::split);
}

#[test]
fn a_chunked_body_ends_where_its_grammar_says() {
    run("chunks", targets::chunks);
}

#[test]
fn the_last_good_state_is_read_or_refused() {
    run("last_good", targets::last_good);
}
