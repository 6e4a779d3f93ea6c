//! Lines of columns as Java's `%-15s` makes them.

/// Pads each cell but those of width 0 on its right; one space between.
pub(super) fn padded<'a>(cells: impl IntoIterator<Item = (&'a str, usize)>) -> String {
    let cells = cells.into_iter().map(|(text, width)| format!("{text:width$}"));
    cells.collect::<Vec<_>>().join(" ")
}

/// The widest of them, and no less than `least`.
pub(super) fn width<'a>(least: usize, texts: impl IntoIterator<Item = &'a str>) -> usize {
    let widths = texts.into_iter().map(|text| text.chars().count());
    widths.max().map_or(least, |widest| widest.max(least))
}

/// As Kafka's tools write what isn't there.
pub(super) const MISSING: &str = "-";

/// A value, or the sign for none.
pub(super) fn or_missing<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| value.to_string())
}

/// `1,2,3`.
pub(super) fn joined(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_padded_on_the_right_and_never_cut() {
        assert_eq!(padded([("a", 3), ("long", 2), ("z", 0)]), "a   long z");
        assert_eq!(width(5, ["ä", "longest"]), 7);
        assert_eq!(width(5, []), 5);
        assert_eq!(or_missing(Some(3)), "3");
        assert_eq!(or_missing::<i64>(None), "-");
        assert_eq!(joined(&[3, 1]), "3,1");
    }
}
