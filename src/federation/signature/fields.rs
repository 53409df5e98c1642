//! The parts of a request that an RFC 9421 signature can cover, and the structured fields (RFC 9651) that say so.
//!
//! Must never know which parts have to be covered: that is `rfc9421`.

use super::{Error, Head, shown};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sfv::visitor::{DictionaryVisitor, EntryVisitor};
use sfv::{BareItem, Dictionary, FieldType, Item, KeyRef, List, ListEntry, Parser};

/// Header fields that are known to be dictionaries, for the parameter `sf`.
const DICTIONARIES: [&str; 5] = ["accept-signature", "content-digest", "priority", "signature", "signature-input"];
/// What stays as it is in a `@query-param` (RFC 9421 section 2.2.8, by the URL standard's form encoding).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// A dictionary in which no key stands twice.
struct Unique(Dictionary);

/// Why a dictionary is none.
#[derive(Debug, thiserror::Error)]
#[error("a key stands twice")]
struct Twice;

impl<'de> DictionaryVisitor<'de> for Unique {
    type Out = Dictionary;
    type Error = Twice;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Twice> {
        if self.0.keys().any(|known| known.as_str() == key.as_str()) {
            return Err(Twice);
        }
        DictionaryVisitor::entry(&mut self.0, key).map_err(|never| match never {})
    }

    fn finish(self) -> Result<Dictionary, Twice> {
        Ok(self.0)
    }
}

/// Read a header as a dictionary. RFC 9651 lets the last of two equal keys count; two readers that differ in that could
/// be told two things, so here it is an error.
pub(super) fn dictionary(value: &[u8], name: &str) -> Result<Dictionary, Error> {
    let read = Parser::new(value).parse_dictionary_with_visitor(Unique(Dictionary::new()));
    read.map_err(|error| Error::Malformed(format!("the header {name} is not a structured dictionary: {error}")))
}

/// A component as it is named in a signature base: its name, and its parameters.
pub(super) fn identifier(component: &Item) -> String {
    component.serialize()
}

/// The name of a component, without its parameters.
pub(super) fn name(component: &Item) -> Result<&str, Error> {
    match &component.bare_item {
        BareItem::String(name) => Ok(name.as_str()),
        _ => Err(Error::Malformed("a covered component is not a string".to_owned())),
    }
}

/// What a component's parameter says, where it is text.
pub(super) fn parameter<'a>(component: &'a Item, name: &str) -> Option<&'a str> {
    match component.params.iter().find(|(key, _)| key.as_str() == name) {
        Some((_, BareItem::String(text))) => Some(text.as_str()),
        _ => None,
    }
}

/// The value of a component in a request (RFC 9421 section 2).
pub(super) fn value(head: &Head<'_>, component: &Item) -> Result<Vec<u8>, Error> {
    let name = name(component)?;
    if name.starts_with('@') {
        return derived(head, name, component).map(String::into_bytes);
    }
    if name != name.to_ascii_lowercase() {
        return Err(Error::Malformed("a covered header is not named in lower case".to_owned()));
    }
    let absent = || Error::Malformed(format!("the signature covers the header {}, which is not there", shown(name)));
    let flag = |flag: &str| {
        component.params.iter().any(|(key, value)| key.as_str() == flag && *value == BareItem::Boolean(true))
    };
    let (strict, bytes, key) = (flag("sf"), flag("bs"), parameter(component, "key"));
    let known = usize::from(strict) + usize::from(bytes) + usize::from(key.is_some());
    if known != component.params.len() || (bytes && known > 1) {
        return Err(unsupported(component));
    }
    if bytes {
        let lines: List = head.lines(name).map(|line| ListEntry::from(line.to_vec())).collect();
        return lines.serialize().map(String::into_bytes).ok_or_else(absent);
    }
    let value = head.field(name).ok_or_else(absent)?;
    match key {
        Some(key) => {
            let members = dictionary(&value, name)?;
            let (_, member) = members.into_iter().find(|(known, _)| known.as_str() == key).ok_or_else(absent)?;
            vec![member].serialize().map(String::into_bytes).ok_or_else(absent)
        }
        None if strict => {
            if !DICTIONARIES.contains(&name) {
                return Err(unsupported(component));
            }
            Ok(dictionary(&value, name)?.serialize().unwrap_or_default().into_bytes())
        }
        None => Ok(value),
    }
}

/// A component that is no header (RFC 9421 section 2.2).
fn derived(head: &Head<'_>, name: &str, component: &Item) -> Result<String, Error> {
    if name == "@query-param" {
        return query_parameter(head, component);
    }
    if !component.params.is_empty() {
        return Err(unsupported(component));
    }
    match name {
        "@method" => Ok(head.method.to_owned()),
        "@target-uri" => Ok(head.target_uri()),
        "@authority" => Ok(head.normal_authority()),
        "@scheme" => Ok(head.scheme.to_ascii_lowercase()),
        "@request-target" => Ok(head.target.to_owned()),
        "@path" => Ok(head.path().to_owned()),
        "@query" => Ok(format!("?{}", head.query().unwrap_or_default())),
        _ => Err(unsupported(component)),
    }
}

/// One parameter of the query, which has to stand there once (RFC 9421 section 2.2.8).
fn query_parameter(head: &Head<'_>, component: &Item) -> Result<String, Error> {
    let Some(wanted) = parameter(component, "name").filter(|_| component.params.len() == 1) else {
        return Err(unsupported(component));
    };
    let encoded = |text: &str| utf8_percent_encode(text, FORM).to_string();
    let query = head.query().unwrap_or_default();
    let mut found = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| encoded(name) == wanted);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(encoded(&value)),
        _ => Err(Error::Malformed("a covered query parameter is not there exactly once".to_owned())),
    }
}

fn unsupported(component: &Item) -> Error {
    Error::Unsupported(format!("the component {}", shown(&identifier(component))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head<'a>(target: &'a str, headers: &[(&'a str, &'a str)]) -> Head<'a> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        Head { method: "POST", scheme: "https", authority: "WWW.Example:443", target, headers }
    }

    fn read(head: &Head<'_>, component: &str) -> Result<String, Error> {
        let component: Item = Parser::new(component).parse().unwrap();
        value(head, &component).map(|value| String::from_utf8(value).unwrap())
    }

    #[track_caller]
    fn check(head: &Head<'_>, component: &str, expected: &str) {
        assert_eq!(read(head, component).as_deref(), Ok(expected), "{component}");
    }

    #[test]
    fn derived_components_are_those_of_the_request() {
        let head = head("/path?param=value", &[]);
        check(&head, r#""@method""#, "POST");
        check(&head, r#""@target-uri""#, "https://www.example/path?param=value");
        check(&head, r#""@authority""#, "www.example");
        check(&head, r#""@scheme""#, "https");
        check(&head, r#""@request-target""#, "/path?param=value");
        check(&head, r#""@path""#, "/path");
        check(&head, r#""@query""#, "?param=value");
        check(&self::head("/path", &[]), r#""@query""#, "?");
        for wrong in
            [r#""@status""#, r#""@signature-params""#, r#""@method";req"#, r#""@path";sf"#, r#""@query-param""#]
        {
            assert!(read(&head, wrong).is_err(), "{wrong}");
        }
    }

    /// The examples of RFC 9421 section 2.2.8.
    #[test]
    fn query_parameters_are_those_of_the_specification() {
        let head = head("/path?param=value&foo=bar&baz=batman&qux=", &[]);
        check(&head, r#""@query-param";name="baz""#, "batman");
        check(&head, r#""@query-param";name="qux""#, "");
        check(&head, r#""@query-param";name="param""#, "value");
        let query = "/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something";
        let head = self::head(query, &[]);
        check(&head, r#""@query-param";name="var""#, "this%20is%20a%20big%0Amultiline%20value");
        check(&head, r#""@query-param";name="bar""#, "with%20plus%20whitespace");
        check(&head, r#""@query-param";name="fa%C3%A7ade%22%3A%20""#, "something");
        let twice = self::head("/path?a=1&a=2", &[]);
        assert!(read(&twice, r#""@query-param";name="a""#).is_err(), "a parameter that stands twice says nothing");
    }

    /// The examples of RFC 9421 section 2.1.
    #[test]
    fn header_fields_are_those_of_the_specification() {
        let lines = [
            ("X-OWS-Header", "  Leading and trailing whitespace.  "),
            ("Cache-Control", "max-age=60"),
            ("Cache-Control", "   must-revalidate"),
            ("Example-Dict", "  a=1,    b=2;x=1;y=2,   c=(a   b   c), d"),
            ("X-Empty-Header", ""),
        ];
        let head = head("/", &lines);
        check(&head, r#""host""#, "WWW.Example:443");
        check(&head, r#""x-ows-header""#, "Leading and trailing whitespace.");
        check(&head, r#""cache-control""#, "max-age=60, must-revalidate");
        check(&head, r#""x-empty-header""#, "");
        check(&head, r#""example-dict";key="a""#, "1");
        check(&head, r#""example-dict";key="d""#, "?1");
        check(&head, r#""example-dict";key="b""#, "2;x=1;y=2");
        check(&head, r#""example-dict";key="c""#, "(a b c)");
        check(&self::head("/", &[("Priority", "u=1,   i")]), r#""priority";sf"#, "u=1, i");
        let bytes = self::head("/", &[("Example-Header", "value, with, lots"), ("Example-Header", "of, commas")]);
        check(&bytes, r#""example-header";bs"#, ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:");
        for wrong in
            [r#""absent""#, r#""Cache-Control""#, r#""cache-control";sf"#, r#""cache-control";tr"#, "cache-control"]
        {
            assert!(read(&head, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        assert!(dictionary(b"a=1, b=2", "x").is_ok());
        assert!(dictionary(b"a=1, b=2, a=1", "x").is_err());
    }
}
