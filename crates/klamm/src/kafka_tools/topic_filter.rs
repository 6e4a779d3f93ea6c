//! Topics by a regular expression: what `--topic` and its like take.

use anyhow::{Context as _, Result};
use regex::Regex;

/// Kafka's `IncludeList`: commas are alternatives, the whole name must match.
#[derive(Debug)]
pub(super) struct TopicFilter {
    pattern: Regex,
}

impl TopicFilter {
    /// Reads it.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let quote = |letter: char| matches!(letter, '"' | '\'');
        let text = text.trim().replace(',', "|").replace(' ', "");
        let text = text.trim_start_matches(quote).trim_end_matches(quote);
        let pattern = Regex::new(&format!("^(?:{text})$"));
        let pattern = pattern.with_context(|| format!("{text} is an invalid regex."))?;
        Ok(Self { pattern })
    }

    /// Every topic.
    pub(super) fn all() -> Result<Self> {
        Self::parse(".*")
    }

    /// Whether a topic is meant.
    pub(super) fn includes(&self, topic: &str) -> bool {
        self.pattern.is_match(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_are_alternatives_quotes_are_dropped_and_the_whole_name_matches() {
        let filter = TopicFilter::parse(" 'a.*, b' ").unwrap();
        assert!(filter.includes("a") && filter.includes("abc") && filter.includes("b"));
        assert!(!filter.includes("bc") && !filter.includes("xa"));
        assert!(TopicFilter::all().unwrap().includes("any"));
        TopicFilter::parse("(").unwrap_err();
    }
}
