//! How a consumed record is printed: `%` words as in kcat, or one JSON object a line.

use rdkafka::message::{BorrowedHeaders, Headers as _, Message};
use serde_json::{Map, Value, json};

/// A parsed `--format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordFormat {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Key,
    Value,
    Topic,
    Partition,
    Offset,
    Timestamp,
    Headers,
}

impl RecordFormat {
    /// Reads `%k %v %t %p %o %T %h` (`%s` is `%v`, `%%` a percent sign) and the escapes `\n \t \r \\`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let part = match letter {
                '%' => match letters.next() {
                    Some('%') => {
                        plain.push('%');
                        continue;
                    }
                    Some('k') => Part::Key,
                    Some('v' | 's') => Part::Value,
                    Some('t') => Part::Topic,
                    Some('p') => Part::Partition,
                    Some('o') => Part::Offset,
                    Some('T') => Part::Timestamp,
                    Some('h') => Part::Headers,
                    Some(other) => return Err(format!("%{other} isn't known: {WORDS}")),
                    None => return Err(format!("a single % stands at the end: {WORDS}")),
                },
                '\\' => {
                    match letters.next() {
                        Some('n') => plain.push('\n'),
                        Some('t') => plain.push('\t'),
                        Some('r') => plain.push('\r'),
                        Some(other) => plain.push(other),
                        None => plain.push('\\'),
                    }
                    continue;
                }
                other => {
                    plain.push(other);
                    continue;
                }
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The value alone, or key and value.
    pub(super) fn plain(with_key: bool) -> Self {
        let parts = if with_key {
            vec![Part::Key, Part::Text("\t".to_owned()), Part::Value]
        } else {
            vec![Part::Value]
        };
        Self { parts }
    }

    /// Appends the record and a line's end. Keys and values are written byte for byte.
    pub(super) fn write<M: Message<Headers = BorrowedHeaders>>(&self, record: &M, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Key => out.extend_from_slice(record.key().unwrap_or_default()),
                Part::Value => out.extend_from_slice(record.payload().unwrap_or_default()),
                Part::Topic => out.extend_from_slice(record.topic().as_bytes()),
                Part::Partition => out.extend_from_slice(record.partition().to_string().as_bytes()),
                Part::Offset => out.extend_from_slice(record.offset().to_string().as_bytes()),
                Part::Timestamp => {
                    let timestamp = record.timestamp().to_millis().unwrap_or(-1);
                    out.extend_from_slice(timestamp.to_string().as_bytes());
                }
                Part::Headers => write_headers(record, out),
            }
        }
        out.push(b'\n');
    }
}

const WORDS: &str =
    "use %k key, %v value, %t topic, %p partition, %o offset, %T timestamp, %h headers, %% a percent sign";

fn write_headers<M: Message<Headers = BorrowedHeaders>>(record: &M, out: &mut Vec<u8>) {
    let headers = record
        .headers()
        .map(|headers| headers.iter().collect::<Vec<_>>())
        .unwrap_or_default();
    for (at, header) in headers.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(header.key.as_bytes());
        out.push(b'=');
        out.extend_from_slice(header.value.unwrap_or_default());
    }
}

/// The record as one JSON object. Bytes that aren't text go, in hexadecimal digits, to a field of another name:
/// `valueHex` instead of `value`.
pub(super) fn json_of<M: Message<Headers = BorrowedHeaders>>(record: &M) -> Value {
    let mut object = Map::new();
    object.insert("topic".to_owned(), json!(record.topic()));
    object.insert("partition".to_owned(), json!(record.partition()));
    object.insert("offset".to_owned(), json!(record.offset()));
    object.insert("timestamp".to_owned(), json!(record.timestamp().to_millis()));
    insert_bytes(&mut object, "key", record.key());
    insert_bytes(&mut object, "value", record.payload());
    let headers = record.headers().map(|headers| {
        headers
            .iter()
            .map(|header| {
                let mut one = Map::new();
                one.insert("name".to_owned(), json!(header.key));
                insert_bytes(&mut one, "value", header.value);
                Value::Object(one)
            })
            .collect::<Vec<_>>()
    });
    object.insert("headers".to_owned(), Value::Array(headers.unwrap_or_default()));
    Value::Object(object)
}

fn insert_bytes(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => object.insert(name.to_owned(), Value::Null),
        Some((Ok(text), _)) => object.insert(name.to_owned(), json!(text)),
        Some((Err(_), bytes)) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            object.insert(format!("{name}Hex"), json!(digits))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_escapes_and_text_are_told_apart() {
        let format = RecordFormat::parse(r"%k\t%s 100%% %p").unwrap();
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(
            format.parts,
            [Part::Key, text("\t"), Part::Value, text(" 100% "), Part::Partition]
        );
        assert!(RecordFormat::parse("%x").unwrap_err().contains("%k key"));
        assert!(RecordFormat::parse("50%").is_err());
    }

    #[test]
    fn bytes_that_are_no_text_get_a_name_of_their_own() {
        let mut object = Map::new();
        insert_bytes(&mut object, "key", None);
        insert_bytes(&mut object, "value", Some(&[0xff, 0x01]));
        assert_eq!(Value::Object(object), json!({"key": null, "valueHex": "ff01"}));
    }
}
