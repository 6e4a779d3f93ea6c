//! Lines of standard input as records, and records as lines of standard output (`LineMessageReader`,
//! `DefaultMessageFormatter`).

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use rdkafka::Timestamp;
use rdkafka::message::{Headers as _, Message};

/// How a line becomes a record.
#[derive(Debug)]
pub(super) struct LineReader {
    parse_key: bool,
    parse_headers: bool,
    ignore_error: bool,
    key_separator: String,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    null_marker: Option<String>,
}

/// What a line holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LineRecord<'a> {
    pub(super) headers: Vec<(&'a str, Option<&'a str>)>,
    pub(super) key: Option<&'a str>,
    pub(super) value: Option<&'a str>,
}

fn is_true(properties: &BTreeMap<String, String>, key: &str) -> bool {
    properties
        .get(key)
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

impl LineReader {
    /// By Kafka's properties.
    pub(super) fn new(properties: &BTreeMap<String, String>) -> Result<Self> {
        let text = |key: &str, without: &str| properties.get(key).cloned().unwrap_or_else(|| without.to_owned());
        let reader = Self {
            parse_key: is_true(properties, "parse.key"),
            parse_headers: is_true(properties, "parse.headers"),
            ignore_error: is_true(properties, "ignore.error"),
            key_separator: text("key.separator", "\t"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            null_marker: properties.get("null.marker").cloned(),
        };
        let headers = [
            ("headers.delimiter", &reader.headers_delimiter),
            ("headers.separator", &reader.headers_separator),
            ("headers.key.separator", &reader.headers_key_separator),
        ];
        for (at, (name, text)) in headers.iter().enumerate() {
            if let Some((other, _)) = headers.iter().skip(at + 1).find(|(_, other)| other == text) {
                bail!("{name} and {other} may not be equal");
            }
        }
        let key = [("key.separator", &reader.key_separator)];
        let marked = key
            .iter()
            .chain(&headers)
            .find(|(_, text)| reader.null_marker.as_ref() == Some(*text));
        if let Some((name, _)) = marked {
            bail!("null.marker and {name} may not be equal");
        }
        Ok(reader)
    }

    /// Reads a line.
    pub(super) fn read<'a>(&self, line: &'a str, number: u64) -> Result<LineRecord<'a>> {
        let (headers, rest) = self.part(
            self.parse_headers,
            line,
            &self.headers_delimiter,
            "headers delimiter",
            (line, number),
        )?;
        let (key, value) = self.part(
            self.parse_key,
            rest,
            &self.key_separator,
            "key separator",
            (line, number),
        )?;
        let headers = headers.filter(|headers| !self.is_null(headers));
        Ok(LineRecord {
            headers: headers.map_or(Ok(Vec::new()), |headers| self.headers(headers, number))?,
            key: key.filter(|key| !self.is_null(key)),
            value: Some(value).filter(|value| !self.is_null(value)),
        })
    }

    fn is_null(&self, text: &str) -> bool {
        self.null_marker.as_deref() == Some(text)
    }

    /// What stands before the separator, and the rest.
    fn part<'a>(
        &self,
        wanted: bool,
        text: &'a str,
        separator: &str,
        what: &str,
        (line, number): (&str, u64),
    ) -> Result<(Option<&'a str>, &'a str)> {
        if !wanted {
            return Ok((None, text));
        }
        match text.split_once(separator) {
            Some((part, rest)) => Ok((Some(part), rest)),
            None if self.ignore_error => Ok((None, text)),
            None => bail!("No {what} found on line number {number}: '{line}'"),
        }
    }

    fn headers<'a>(&self, text: &'a str, number: u64) -> Result<Vec<(&'a str, Option<&'a str>)>> {
        let mut headers = Vec::new();
        for pair in text.split(&self.headers_separator) {
            match pair.split_once(&self.headers_key_separator) {
                Some((key, _)) if self.is_null(key) => {
                    bail!("Header keys should not be equal to the null marker '{key}' as they can't be null");
                }
                Some((key, value)) => headers.push((key, Some(value).filter(|value| !self.is_null(value)))),
                None if self.ignore_error => headers.push((pair, None)),
                None => bail!("No header key separator found in pair '{pair}' on line number {number}"),
            }
        }
        Ok(headers)
    }
}

/// How a record becomes a line.
#[derive(Debug)]
pub(super) struct LineWriter {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    null_literal: String,
}

impl LineWriter {
    /// By Kafka's properties.
    pub(super) fn new(properties: &BTreeMap<String, String>) -> Result<Self> {
        let text = |key: &str, without: &str| properties.get(key).cloned().unwrap_or_else(|| without.to_owned());
        for key in ["key.deserializer", "value.deserializer", "headers.deserializer"] {
            check_deserializer(properties.get(key).map(String::as_str))?;
        }
        Ok(Self {
            timestamp: is_true(properties, "print.timestamp"),
            partition: is_true(properties, "print.partition"),
            offset: is_true(properties, "print.offset"),
            delivery: is_true(properties, "print.delivery"),
            epoch: is_true(properties, "print.epoch"),
            headers: is_true(properties, "print.headers"),
            key: is_true(properties, "print.key"),
            value: !properties.contains_key("print.value") || is_true(properties, "print.value"),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
        })
    }

    /// Appends the record.
    pub(super) fn write<M: Message>(&self, record: &M, out: &mut Vec<u8>) {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let literal = self.null_literal.as_bytes();
        if self.timestamp {
            parts.push(match record.timestamp() {
                Timestamp::CreateTime(time) => format!("CreateTime:{time}").into_bytes(),
                Timestamp::LogAppendTime(time) => format!("LogAppendTime:{time}").into_bytes(),
                Timestamp::NotAvailable => b"NO_TIMESTAMP".to_vec(),
            });
        }
        if self.partition {
            parts.push(format!("Partition:{}", record.partition()).into_bytes());
        }
        if self.offset {
            parts.push(format!("Offset:{}", record.offset()).into_bytes());
        }
        // Kafka's tool doesn't hand these on to its own formatter either.
        if self.delivery {
            parts.push(b"Delivery:NOT_PRESENT".to_vec());
        }
        if self.epoch {
            parts.push(b"Epoch:NOT_PRESENT".to_vec());
        }
        if self.headers {
            let mut text = Vec::new();
            for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
                if !text.is_empty() {
                    text.extend_from_slice(self.headers_separator.as_bytes());
                }
                text.extend_from_slice(header.key.as_bytes());
                text.push(b':');
                text.extend_from_slice(header.value.unwrap_or(literal));
            }
            parts.push(if text.is_empty() { b"NO_HEADERS".to_vec() } else { text });
        }
        if self.key {
            parts.push(record.key().unwrap_or(literal).to_vec());
        }
        if self.value {
            parts.push(record.payload().unwrap_or(literal).to_vec());
        }
        if !parts.is_empty() {
            out.extend_from_slice(&parts.join(self.key_separator.as_bytes()));
            out.extend_from_slice(self.line_separator.as_bytes());
        }
    }
}

/// Bytes are written as they are; what would have to be decoded is refused.
pub(super) fn check_deserializer(class: Option<&str>) -> Result<()> {
    const PLAIN: [&str; 2] = [
        "org.apache.kafka.common.serialization.StringDeserializer",
        "org.apache.kafka.common.serialization.ByteArrayDeserializer",
    ];
    match class {
        Some(class) if !PLAIN.contains(&class) => {
            bail!(
                "{class} is not supported by klamm's kafka-console-consumer: it knows StringDeserializer and ByteArrayDeserializer"
            )
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};

    fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_line_is_a_value_or_headers_key_and_value() {
        let plain = LineReader::new(&properties(&[])).unwrap();
        assert_eq!(plain.read("a\tb", 1).unwrap().value, Some("a\tb"));
        let keyed = [("parse.key", "true"), ("key.separator", ":"), ("null.marker", "NULL")];
        let keyed = LineReader::new(&properties(&keyed)).unwrap();
        let record = keyed.read("k:v:w", 1).unwrap();
        assert_eq!((record.key, record.value), (Some("k"), Some("v:w")));
        let record = keyed.read("NULL:NULL", 1).unwrap();
        assert_eq!((record.key, record.value), (None, None));
        let error = keyed.read("none", 7).unwrap_err().to_string();
        assert_eq!(error, "No key separator found on line number 7: 'none'");
    }

    #[test]
    fn headers_are_pairs_and_errors_may_be_ignored() {
        let all = [("parse.headers", "true"), ("parse.key", "TRUE")];
        let reader = LineReader::new(&properties(&all)).unwrap();
        let record = reader.read("a:1,b:2\tk\tv", 1).unwrap();
        assert_eq!(record.headers, [("a", Some("1")), ("b", Some("2"))]);
        assert_eq!((record.key, record.value), (Some("k"), Some("v")));
        reader.read("a\tk\tv", 1).unwrap_err();
        let lenient = [("parse.headers", "true"), ("ignore.error", "true")];
        let reader = LineReader::new(&properties(&lenient)).unwrap();
        assert_eq!(reader.read("a\tv", 1).unwrap().headers, [("a", None)]);
        assert_eq!(reader.read("v", 1).unwrap().value, Some("v"));
    }

    #[test]
    fn separators_that_are_equal_are_refused() {
        LineReader::new(&properties(&[("headers.separator", ":")])).unwrap_err();
        LineReader::new(&properties(&[("null.marker", "\t")])).unwrap_err();
    }

    fn written(pairs: &[(&str, &str)]) -> String {
        let headers = OwnedHeaders::new().insert(Header {
            key: "h",
            value: Some("1"),
        });
        let record = OwnedMessage::new(
            Some(b"v".to_vec()),
            None,
            "t".to_owned(),
            Timestamp::CreateTime(5),
            2,
            9,
            Some(headers),
        );
        let mut out = Vec::new();
        LineWriter::new(&properties(pairs)).unwrap().write(&record, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_is_its_value_or_whatever_is_asked_for() {
        assert_eq!(written(&[]), "v\n");
        let all = [
            "timestamp",
            "partition",
            "offset",
            "delivery",
            "epoch",
            "headers",
            "key",
        ]
        .map(|name| format!("print.{name}"));
        let all: Vec<(&str, &str)> = all.iter().map(|name| (name.as_str(), "true")).collect();
        assert_eq!(
            written(&all),
            "CreateTime:5\tPartition:2\tOffset:9\tDelivery:NOT_PRESENT\tEpoch:NOT_PRESENT\th:1\tnull\tv\n"
        );
        assert_eq!(
            written(&[("print.value", "false"), ("print.key", "true"), ("null.literal", "-")]),
            "-\n"
        );
        check_deserializer(Some("org.apache.kafka.common.serialization.LongDeserializer")).unwrap_err();
    }
}
