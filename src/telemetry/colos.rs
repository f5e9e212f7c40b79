//! Requests by the data centre of Cloudflare (colo) that they came through.
//!
//! A colo is the end of `CF-Ray` (`230b030023ae2822-SJC`), which is read from Cloudflare's addresses only: three letters, the
//! code of an airport (Cloudflare, "Cloudflare HTTP headers"). So many names are kept as Cloudflare has data centres and a
//! half more; what does not fit, or is no such name, counts as `other`.

use crate::net::counters::LocalCounter;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names that a worker keeps. Cloudflare has 335 data centres in 2026; 6 KiB of each worker.
const SLOTS: usize = 512;

/// Slots that are tried for a name, one after the other.
const PROBES: usize = 16;

/// Label of what has no name of its own.
const OTHER: &str = "other";

#[derive(Debug, Default)]
struct ColoSlot {
    /// The three letters as one number; 0 as long as it is free.
    name: AtomicU32,
    requests: LocalCounter,
}

/// Counts of one worker: it writes, the scrape reads.
#[derive(Debug)]
pub struct ColoCells {
    slots: Box<[ColoSlot]>,
    other: LocalCounter,
}

impl Default for ColoCells {
    fn default() -> Self {
        let slots = (0..SLOTS).map(|_| ColoSlot::default()).collect();
        Self { slots, other: LocalCounter::default() }
    }
}

impl ColoCells {
    /// Counts a request with this `CF-Ray`. Only the owning thread may call this.
    pub fn count(&self, ray: &[u8]) {
        let slot = name(ray).and_then(|name| self.slot(name));
        slot.map_or(&self.other, |slot| &slot.requests).add(1);
    }

    /// The slot of a name, which takes a free one if it has none.
    fn slot(&self, name: u32) -> Option<&ColoSlot> {
        // Neighbours in the alphabet shall not be neighbours here (Knuth's multiplicative hashing).
        let start = (name.wrapping_mul(0x9e37_79b1) >> 16) as usize;
        let mut tried = (start..start + PROBES).map(|position| &self.slots[position % SLOTS]);
        tried.find(|slot| match slot.name.load(Ordering::Relaxed) {
            0 => {
                slot.name.store(name, Ordering::Relaxed);
                true
            }
            taken => taken == name,
        })
    }

    /// Names with their requests, from any thread; those without a request are left out.
    pub(super) fn read(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let named = self.slots.iter().map(|slot| {
            let [_, letters @ ..] = slot.name.load(Ordering::Relaxed).to_be_bytes();
            (String::from_utf8_lossy(&letters).into_owned(), slot.requests.total())
        });
        named.chain([(OTHER.to_owned(), self.other.total())]).filter(|(_, requests)| *requests > 0)
    }
}

/// The three letters at the end of a ray, as one number.
fn name(ray: &[u8]) -> Option<u32> {
    let [.., b'-', a, b, c] = *ray else { return None };
    [a, b, c].iter().all(u8::is_ascii_uppercase).then_some(u32::from_be_bytes([0, a, b, c]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn counted(rays: &[&str]) -> BTreeMap<String, u64> {
        let cells = ColoCells::default();
        rays.iter().for_each(|ray| cells.count(ray.as_bytes()));
        cells.read().collect()
    }

    #[test]
    fn requests_are_counted_by_the_end_of_the_ray() {
        let found = counted(&["230b030023ae2822-SJC", "8f0c-FRA", "9-FRA", "-FRA"]);
        assert_eq!(found, BTreeMap::from([("FRA".to_owned(), 3), ("SJC".to_owned(), 1)]));
    }

    #[test]
    fn what_is_no_name_is_another() {
        let rays = ["", "FRA", "8f0c", "8f0c-fra", "8f0c-FRAN", "8f0cFRA", "8f0c-F\"A", "8f0c-"];
        assert_eq!(counted(&rays), BTreeMap::from([("other".to_owned(), 8)]));
    }

    #[test]
    fn names_are_bounded_and_no_request_is_lost() {
        let cells = ColoCells::default();
        let letters = || b'A'..=b'Z';
        for a in letters() {
            for b in letters() {
                for c in letters() {
                    cells.count(&[b'1', b'-', a, b, c]);
                }
            }
        }
        let found: BTreeMap<_, _> = cells.read().collect();
        assert!(found.len() <= SLOTS + 1, "{}", found.len());
        assert_eq!(found.values().sum::<u64>(), 26 * 26 * 26);
    }

    #[test]
    fn as_many_names_as_cloudflare_has_are_told_apart() {
        let cells = ColoCells::default();
        let letters = || b'A'..=b'Z';
        let names = letters().flat_map(|a| letters().map(move |b| [b'1', b'-', a, b, b'X']));
        for ray in names.step_by(2) {
            cells.count(&ray);
        }
        assert_eq!(cells.read().filter(|(name, _)| name != OTHER).count(), 338);
    }
}
