//! "Did you mean": the nearest of the names that exist.

/// Least similarity (Jaro-Winkler, 0 to 1) that is worth a suggestion: in words of five letters and
/// more the usual typing mistakes stay above it, and unrelated names below.
const MIN_SIMILARITY: f64 = 0.85;

/// Similarity given to a name with one letter too many, too few, wrong or swapped. In short names
/// Jaro-Winkler rates such a mistake too low.
const ONE_MISTAKE: f64 = 0.9;

/// Similarity of a name that differs in capitals alone: above all others.
const THE_SAME: f64 = 2.0;

/// Shortest name of which one mistake leaves enough to recognise it.
const MIN_LETTERS: usize = 3;

/// Finds the name nearest to one that does not exist; of equally near ones the first.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(f64, &str)> = None;
    for name in names {
        let Some(similarity) = similarity_of(name, wanted) else { continue };
        if best.is_none_or(|(highest, _)| similarity > highest) {
            best = Some((similarity, name));
        }
        if similarity >= THE_SAME {
            break;
        }
    }
    best.map(|(_, name)| name)
}

/// How near a name is to one that does not exist, if it is near enough to be meant.
pub fn similarity_of(name: &str, wanted: &str) -> Option<f64> {
    if name.eq_ignore_ascii_case(wanted) {
        return Some(THE_SAME);
    }
    Some(similarity(name, wanted)).filter(|similarity| *similarity >= MIN_SIMILARITY)
}

fn similarity(name: &str, wanted: &str) -> f64 {
    let similarity = strsim::jaro_winkler(name, wanted);
    let may_be_one = name.len().abs_diff(wanted.len()) <= 1 && wanted.len() >= MIN_LETTERS;
    if may_be_one && strsim::osa_distance(name, wanted) == 1 {
        similarity.max(ONE_MISTAKE)
    } else {
        similarity
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typing_mistake_finds_what_was_meant() {
        let names = ["blue", "green", "payments-api"];
        assert_eq!(nearest("paymets-api", names), Some("payments-api"));
        assert_eq!(nearest("gren", names), Some("green"));
        assert_eq!(nearest("web", ["api", "wbe"]), Some("wbe"));
        assert_eq!(nearest("BLUE", names), Some("blue"));
    }

    #[test]
    fn something_else_finds_nothing() {
        assert_eq!(nearest("redis", ["blue", "green"]), None);
        assert_eq!(nearest("", ["blue"]), None);
    }
}
