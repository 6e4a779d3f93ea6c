//! Kafka's checkpoint text: a version line, a count line, one entry a line.
//!
//! Strict on reading: a text that doesn't parse whole counts as missing for its reader, which then derives the content.

/// Renders a checkpoint of version 0.
pub(crate) fn encode<I>(entries: I) -> String
where
    I: ExactSizeIterator<Item: std::fmt::Display>,
{
    use std::fmt::Write as _;
    let mut text = String::with_capacity(8 + entries.len() * 24);
    let _ = writeln!(text, "0\n{}", entries.len());
    for entry in entries {
        let _ = writeln!(text, "{entry}");
    }
    text
}

/// Reads a checkpoint of version 0; `None` when anything about it is odd.
pub(crate) fn decode<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok()?;
    let entries: Vec<T> = lines
        .filter(|line| !line.trim().is_empty())
        .map(parse)
        .collect::<Option<_>>()?;
    (entries.len() == count).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kafkas() {
        assert_eq!(encode(["0 0", "3 17"].iter()), "0\n2\n0 0\n3 17\n");
    }

    #[test]
    fn a_text_that_is_cut_short_is_refused() {
        let parse = |line: &str| line.parse::<i32>().ok();
        assert_eq!(decode("0\n2\n7\n9\n", parse), Some(vec![7, 9]));
        assert_eq!(decode("0\n2\n7\n", parse), None);
        assert_eq!(decode("1\n0\n", parse), None);
        assert_eq!(decode("", parse), None);
        assert_eq!(decode("0\n1\nx\n", parse), None);
    }
}
