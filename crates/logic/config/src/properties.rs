//! Java's `.properties` text and `--override key=value`: where a node's configuration comes from.
//!
//! The format is the one that `java.util.Properties` loads, since that is what users paste: `#` and `!` comments,
//! `=`, `:` or blanks between key and value, a backslash to continue a line, `\t \n \r \f \uXXXX` and `\x` for any
//! other x. Later lines win. Nothing here knows what a key means. Called by the binary's shell, which reads the file.

use std::collections::BTreeMap;

use crate::error::ConfigError;

/// Keys and values in text, ordered by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: BTreeMap<String, String>,
}

impl Properties {
    /// No keys at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `.properties` text. A malformed `\u` escape stays as it is written: no text is refused.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut properties = Self::new();
        for line in logical_lines(text) {
            let (key, value) = split_entry(&line);
            properties.entries.insert(unescape(key), unescape(value));
        }
        properties
    }

    /// The value of a key, as it was written.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// Sets a key, replacing its value.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.entries.insert(key.into(), value.into());
    }

    /// Takes a key away.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.entries.remove(key)
    }

    /// Takes over every entry of `other`; its values win.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Applies one `--override key=value`.
    ///
    /// # Errors
    /// `ConfigError::Invalid` when there is no `=` or nothing before it.
    pub fn apply_override(&mut self, assignment: &str) -> Result<(), ConfigError> {
        match assignment.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                self.set(key.trim(), value.trim());
                Ok(())
            }
            Some(_) | None => Err(ConfigError::invalid("--override", assignment, "expected key=value")),
        }
    }

    /// All entries, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self {
            entries: entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        }
    }
}

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\u{c}')
}

/// Lines without comments and blank ones, continued lines joined. A comment can't be continued.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    // A carriage return ends a line, too: an empty line between `\r` and `\n` is skipped only outside a continuation.
    let text = text.replace("\r\n", "\n");
    for natural in text.split(['\n', '\r']) {
        let line = natural.trim_start_matches(is_blank);
        if open.is_none() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let backslashes = line.bytes().rev().take_while(|&byte| byte == b'\\').count();
        let continued = backslashes % 2 == 1;
        let content = if continued {
            line.strip_suffix('\\').unwrap_or(line)
        } else {
            line
        };
        let mut whole = open.take().unwrap_or_default();
        whole.push_str(content);
        if continued {
            open = Some(whole);
        } else if !whole.is_empty() {
            lines.push(whole);
        }
    }
    lines.extend(open.filter(|line| !line.is_empty()));
    lines
}

/// Splits at the first `=`, `:` or blank that isn't escaped.
fn split_entry(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, letter) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == '=' || letter == ':' || is_blank(letter) {
            let (key, rest) = line.split_at(at);
            let rest = rest.trim_start_matches(is_blank);
            let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (key, value.trim_start_matches(is_blank));
        }
    }
    (line, "")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        rest = unescape_one(escape.strip_prefix('\\').unwrap_or(escape), &mut out);
    }
    out.push_str(rest);
    out
}

/// Handles what stands behind one backslash and returns what follows it.
fn unescape_one<'a>(escape: &'a str, out: &mut String) -> &'a str {
    let mut letters = escape.chars();
    match letters.next() {
        None => {}
        Some('t') => out.push('\t'),
        Some('n') => out.push('\n'),
        Some('r') => out.push('\r'),
        Some('f') => out.push('\u{c}'),
        Some('u') => return unescape_unicode(letters.as_str(), out),
        Some(other) => out.push(other),
    }
    letters.as_str()
}

/// `XXXX` behind `\u`; two in a row may be a UTF-16 surrogate pair.
fn unescape_unicode<'a>(digits: &'a str, out: &mut String) -> &'a str {
    let Some((unit, rest)) = hex_unit(digits) else {
        out.push_str("\\u");
        return digits;
    };
    if let Some(letter) = char::from_u32(u32::from(unit)) {
        out.push(letter);
        return rest;
    }
    let pair = rest.strip_prefix("\\u").and_then(hex_unit);
    if let Some((low, after)) = pair
        && let Some(Ok(letter)) = char::decode_utf16([unit, low]).next()
    {
        out.push(letter);
        return after;
    }
    out.push(char::REPLACEMENT_CHARACTER);
    rest
}

fn hex_unit(text: &str) -> Option<(u16, &str)> {
    let digits = text
        .get(..4)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u16::from_str_radix(digits, 16).ok()?, text.get(4..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        Properties::parse(text).entries.into_iter().collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn every_separator_and_comment_is_understood() {
        let text = "# comment\n! another \\\na=1\n b : 2\r\nc 3\n  \nd\ne==x\nf = a b \n";
        assert_eq!(
            parsed(text),
            pairs(&[
                ("a", "1"),
                ("b", "2"),
                ("c", "3"),
                ("d", ""),
                ("e", "=x"),
                ("f", "a b ")
            ])
        );
    }

    #[test]
    fn lines_continue_behind_an_odd_number_of_backslashes() {
        let text = "a=1,\\\n   2,\\\n\t3\nb=x\\\\\nc=y\\\n# not a comment\nlast=\\";
        assert_eq!(
            parsed(text),
            pairs(&[("a", "1,2,3"), ("b", "x\\"), ("c", "y# not a comment"), ("last", "")])
        );
    }

    #[test]
    fn escapes_are_javas() {
        let text = r"a\ key\:with\=all=tab\tnew\nline\u00e9\ud83d\ude00 \q \uzz";
        assert_eq!(
            parsed(text),
            pairs(&[("a key:with=all", "tab\tnew\nline\u{e9}\u{1f600} q \\uzz")])
        );
    }

    #[test]
    fn later_lines_and_overrides_win() {
        let mut properties = Properties::parse("a=1\na=2\nb=3");
        assert_eq!(properties.get("a"), Some("2"));
        properties.apply_override("a = x=y").unwrap();
        assert_eq!(properties.get("a"), Some("x=y"));
        assert!(properties.apply_override("novalue").is_err());
        assert!(properties.apply_override("=x").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*", lines in proptest::collection::vec("[ \\\\u:=#!a-f0-9\r\n\t]*", 0..8)) {
            let _ = Properties::parse(&text);
            let _ = Properties::parse(&lines.join("\n"));
        }

        #[test]
        fn plain_entries_survive(key in "[a-z.]{1,20}", value in "[a-zA-Z0-9:/,._-]{0,40}") {
            let properties = Properties::parse(&format!("{key}={value}\n"));
            assert_eq!(properties.get(&key), Some(value.as_str()));
            assert_eq!(properties.len(), 1);
        }
    }
}
