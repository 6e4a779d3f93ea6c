//! The known key that an unknown one was probably meant to be.

/// The candidate with the smallest edit distance, if that is small enough to be a slip of the fingers:
/// at most a third of the name's length. Of equally near ones that of the most similar length wins, then the first.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = name.chars().take(MAX_LENGTH).collect();
    let limit = letters.len() / 3;
    candidates
        .into_iter()
        .map(|candidate| {
            (
                distance(&letters, candidate),
                candidate.len().abs_diff(name.len()),
                candidate,
            )
        })
        .filter(|(found, _, _)| *found <= limit)
        .min_by_key(|(found, difference, _)| (*found, *difference))
        .map(|(_, _, candidate)| candidate)
}

/// Longer names are cut: the longest of Kafka's keys has about 60 letters.
const MAX_LENGTH: usize = 128;

/// Levenshtein's distance, with one row of memory.
fn distance(left: &[char], right: &str) -> usize {
    let mut row: Vec<usize> = (0..=left.len()).collect();
    for (line, letter) in right.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        for (cell, &other) in row.iter_mut().skip(1).zip(left) {
            let substituted = diagonal + usize::from(letter != other);
            diagonal = *cell;
            before = substituted.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_key_and_nonsense_finds_none() {
        let known = ["log.dir", "log.dirs", "log.retention.ms", "num.partitions"];
        assert_eq!(nearest("log.dirz", known), Some("log.dirs"));
        assert_eq!(nearest("num.partition", known), Some("num.partitions"));
        assert_eq!(nearest("something.else.entirely", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn the_distance_is_levenshteins() {
        let letters: Vec<char> = "kitten".chars().collect();
        assert_eq!(distance(&letters, "sitting"), 3);
        assert_eq!(distance(&letters, "kitten"), 0);
        assert_eq!(distance(&letters, ""), 6);
    }
}
