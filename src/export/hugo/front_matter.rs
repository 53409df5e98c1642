//! The block at the top of a page: a key a line, and each value as JSON, which is YAML too and leaves nothing to guess.
//!
//! Strict parsers of YAML take no control characters, so those that JSON leaves as they are become escapes.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// Front matter, with its fences, from keys and values in order.
pub(super) fn block(lines: &[(&str, Value)]) -> Result<String, io::Error> {
    let mut text = "---\n".to_owned();
    for (key, value) in lines {
        text.push_str(&format!("{key}: {}\n", flow(value)?));
    }
    text.push_str("---\n");
    Ok(text)
}

/// A value on one line, in the flow style of YAML.
fn flow(value: &Value) -> Result<String, io::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Flow))?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// JSON that is YAML: a space after each colon and comma, for old parsers, and nothing unprintable.
struct Flow;

impl Formatter for Flow {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_unprintable) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let mut units = [0; 2];
            let found = rest[at..].chars().next().unwrap_or_default();
            for unit in found.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + found.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// What YAML does not take inside of quotes, or takes for a line end, and JSON does not escape.
fn is_unprintable(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_value_is_read_back_as_it_was_by_a_parser_of_yaml() {
        let values = [
            json!("no"),
            json!("2024-04-05"),
            json!("a: b # c\n---\n\t\"d\" \\ é 😀 \u{0}\u{1}\u{7f}\u{85}\u{9f}\u{2028}\u{feff}\u{ffff}"),
            json!({ "a b": [1, -2.5, true, null, "x", {}, []], "https://x.example/": "~" }),
        ];
        for value in values {
            let text = block(&[("key", value.clone())]).unwrap();
            assert_eq!(text.lines().count(), 3, "{text:?}");
            let inside = text.strip_prefix("---\n").unwrap().strip_suffix("---\n").unwrap();
            let read: std::collections::BTreeMap<String, Value> = serde_saphyr::from_str(inside).unwrap();
            assert_eq!(read["key"], value, "{text:?}");
        }
    }
}
