//! Options as Kafka's tools read them (joptsimple): `--name value`, `--name=value`, and the same with a single dash.
//!
//! What isn't an option is kept in its order: some tools have a word such as `describe` among them. Options may stand
//! before and after it.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result};

/// What stands behind an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// A value, described by this word.
    Value(&'static str),
    /// A value, or none.
    Optional(&'static str),
}

/// An option that a tool knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct OptionSpec {
    pub(super) name: &'static str,
    /// Another name, of one letter mostly.
    pub(super) alias: Option<&'static str>,
    pub(super) takes: Takes,
    pub(super) help: &'static str,
}

/// An option without a value.
pub(super) const fn flag(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        alias: None,
        takes: Takes::Nothing,
        help,
    }
}

/// An option with a value.
pub(super) const fn value(name: &'static str, described: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        alias: None,
        takes: Takes::Value(described),
        help,
    }
}

/// An option whose value may be missing.
pub(super) const fn optional(name: &'static str, described: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        alias: None,
        takes: Takes::Optional(described),
        help,
    }
}

impl OptionSpec {
    /// The same with a second name.
    pub(super) const fn or(self, alias: &'static str) -> Self {
        Self {
            alias: Some(alias),
            ..self
        }
    }
}

/// Every tool has these.
const COMMON: [OptionSpec; 2] = [
    flag("help", "Print usage information."),
    flag("version", "Display Kafka version."),
];

/// A command line that can't be meant: the message goes to standard error, the options after it.
#[derive(Debug)]
pub(super) struct UsageError(String);

impl UsageError {
    pub(super) fn of(message: impl Into<String>) -> Error {
        Error::new(Self(message.into()))
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// What was given.
#[derive(Debug)]
pub(super) struct Options {
    found: Vec<(&'static str, Option<String>)>,
    words: Vec<String>,
    line: Vec<String>,
}

impl Options {
    /// Reads the arguments.
    pub(super) fn parse(specs: &'static [OptionSpec], arguments: Vec<String>) -> Result<Self> {
        let mut options = Self {
            found: Vec::new(),
            words: Vec::new(),
            line: arguments.clone(),
        };
        let mut rest = arguments.into_iter().peekable();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                options.words.extend(rest);
                break;
            }
            let Some(body) = option_body(&argument) else {
                options.words.push(argument);
                continue;
            };
            let (name, inline) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (body, None),
            };
            let spec =
                spec_of(specs, name).ok_or_else(|| UsageError::of(format!("{name} is not a recognized option")))?;
            let inline = inline.filter(|value| !value.is_empty());
            let value = match spec.takes {
                Takes::Nothing if inline.is_some() => {
                    return Err(UsageError::of(format!("Option {name} doesn't take an argument")));
                }
                Takes::Nothing => None,
                Takes::Value(_) => {
                    let value = inline.or_else(|| rest.next());
                    Some(value.ok_or_else(|| UsageError::of(format!("Option {name} requires an argument")))?)
                }
                Takes::Optional(_) => inline.or_else(|| rest.next_if(|next| option_body(next).is_none())),
            };
            options.found.push((spec.name, value));
        }
        Ok(options)
    }

    /// Whether it was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.found.iter().any(|(found, _)| *found == name)
    }

    /// All its values in their order.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.found.iter().filter(move |(found, _)| *found == name);
        found.filter_map(|(_, value)| value.as_deref())
    }

    /// Its only value.
    pub(super) fn value<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>> {
        let mut values = self.values(name);
        let first = values.next();
        match values.next() {
            Some(_) => Err(UsageError::of(format!(
                "Found multiple arguments for option {name}, but you asked for only one"
            ))),
            None => Ok(first),
        }
    }

    /// Its only value as a number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.value(name)? else {
            return Ok(None);
        };
        let number = text.trim().parse();
        number
            .map(Some)
            .map_err(|_| UsageError::of(format!("Cannot parse argument '{text}' of option {name}")))
    }

    /// What was given of these, in the order of the command line.
    pub(super) fn given<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'static str> + 'a {
        let found = self.found.iter().map(|(name, _)| *name);
        found.filter(move |name| names.contains(name))
    }

    /// What isn't an option.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// The command line as it was.
    pub(super) fn line(&self) -> String {
        self.line.join(" ")
    }

    /// Every one of them must be there.
    pub(super) fn require(&self, names: &[&str]) -> Result<()> {
        let missing = names.iter().find(|name| !self.has(name));
        missing.map_or(Ok(()), |name| {
            Err(UsageError::of(format!("Missing required argument \"[{name}]\"")))
        })
    }

    /// None of the others goes with `used`.
    pub(super) fn forbid(&self, used: &str, others: &[&str]) -> Result<()> {
        let other = others.iter().find(|other| self.has(used) && self.has(other));
        other.map_or(Ok(()), |other| {
            Err(UsageError::of(format!(
                "Option \"[{used}]\" can't be used with option \"[{other}]\""
            )))
        })
    }

    /// These go only with one of `with`.
    pub(super) fn only_with(&self, names: &[&str], with: &[&str]) -> Result<()> {
        let alone = names
            .iter()
            .find(|name| self.has(name) && !with.iter().any(|with| self.has(with)));
        alone.map_or(Ok(()), |name| {
            Err(UsageError::of(format!(
                "Option(s) [{name}] are unavailable given other options on the command line"
            )))
        })
    }

    /// What Kafka's tool knows and this one can't do.
    pub(super) fn refuse(&self, names: &[&str]) -> Result<()> {
        let refused = names.iter().find(|name| self.has(name));
        refused.map_or(Ok(()), |name| {
            Err(Error::msg(format!("--{name} is not supported by klamm")))
        })
    }
}

/// What is behind the dashes of an option. A single dash alone, and a negative number, are none.
fn option_body(argument: &str) -> Option<&str> {
    if let Some(body) = argument.strip_prefix("--") {
        return Some(body).filter(|body| !body.is_empty());
    }
    let body = argument.strip_prefix('-')?;
    (!body.is_empty() && !body.starts_with(|first: char| first.is_ascii_digit())).then_some(body)
}

fn spec_of(specs: &[OptionSpec], name: &str) -> Option<OptionSpec> {
    let mut known = specs.iter().chain(COMMON.iter());
    known
        .find(|spec| spec.name == name || spec.alias == Some(name))
        .copied()
}

/// The options, one a line.
pub(super) fn usage(specs: &[OptionSpec]) -> String {
    let shown = |spec: &OptionSpec| match spec.takes {
        Takes::Nothing => format!("--{}", spec.name),
        Takes::Value(described) => format!("--{} <{described}>", spec.name),
        Takes::Optional(described) => format!("--{} [{described}]", spec.name),
    };
    let mut known: Vec<&OptionSpec> = specs.iter().chain(COMMON.iter()).collect();
    known.sort_by_key(|spec| spec.name);
    let width = known.iter().map(|spec| shown(spec).len()).max().unwrap_or_default();
    let lines = known
        .iter()
        .map(|spec| format!("{:width$}  {}", shown(spec), spec.help));
    let head = format!("{:width$}  Description\n{:width$}  -----------\n", "Option", "------");
    head + &lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[OptionSpec] = &[
        flag("list", "List."),
        value("topic", "topic", "The topic.").or("t"),
        value("shift-by", "number", "So many."),
        optional("state", "state", "The state."),
    ];

    fn parse(line: &str) -> Result<Options> {
        Options::parse(SPECS, line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn values_stand_behind_a_space_or_an_equals_sign_and_dashes_are_one_or_two() {
        for line in [
            "--topic a --list",
            "--topic=a -list",
            "-topic a --list",
            "-topic=a --list",
            "-t a --list",
        ] {
            let options = parse(line).unwrap();
            assert_eq!(options.value("topic").unwrap(), Some("a"), "{line}");
            assert!(options.has("list"), "{line}");
        }
    }

    #[test]
    fn a_value_is_taken_even_if_it_looks_like_an_option_but_not_where_it_may_be_missing() {
        assert_eq!(
            parse("--shift-by -5").unwrap().number("shift-by").unwrap(),
            Some(-5_i64)
        );
        assert_eq!(parse("--topic --list").unwrap().value("topic").unwrap(), Some("--list"));
        let options = parse("--state --list").unwrap();
        assert!(options.has("state") && options.has("list"));
        assert_eq!(options.value("state").unwrap(), None);
        assert_eq!(parse("--state empty").unwrap().value("state").unwrap(), Some("empty"));
    }

    #[test]
    fn mistakes_are_named_in_kafkas_words() {
        let error = |line: &str| parse(line).unwrap_err().to_string();
        assert_eq!(error("--zookeeper x"), "zookeeper is not a recognized option");
        assert_eq!(error("--topic"), "Option topic requires an argument");
        let twice = parse("--topic a --topic b").unwrap();
        assert_eq!(twice.values("topic").collect::<Vec<_>>(), ["a", "b"]);
        let message = twice.value("topic").unwrap_err().to_string();
        assert_eq!(
            message,
            "Found multiple arguments for option topic, but you asked for only one"
        );
        let number = parse("--shift-by x").unwrap().number::<i64>("shift-by").unwrap_err();
        assert_eq!(number.to_string(), "Cannot parse argument 'x' of option shift-by");
    }

    #[test]
    fn rules_between_options_are_told_in_kafkas_words() {
        let options = parse("--topic a --list").unwrap();
        let forbidden = options.forbid("list", &["state", "topic"]).unwrap_err();
        assert_eq!(
            forbidden.to_string(),
            "Option \"[list]\" can't be used with option \"[topic]\""
        );
        let required = options.require(&["topic", "state"]).unwrap_err();
        assert_eq!(required.to_string(), "Missing required argument \"[state]\"");
        options.only_with(&["topic"], &["list"]).unwrap();
        options.only_with(&["topic"], &["state"]).unwrap_err();
    }

    #[test]
    fn words_are_kept_in_their_order() {
        let options = parse("describe --list -- --topic").unwrap();
        assert_eq!(options.words(), ["describe", "--topic"]);
        assert_eq!(options.line(), "describe --list -- --topic");
    }

    #[test]
    fn the_usage_lists_every_option_once() {
        let text = usage(SPECS);
        assert!(text.starts_with("Option"), "{text}");
        assert!(text.contains("--topic <topic>") && text.contains("--state [state]") && text.contains("--help"));
    }
}
