//! A request without its body, whoever carries it: what a signature is made over and checked against.
//!
//! Must never know a web server's or a client's types: both fill in a [`Head`].

use super::Error;

/// A request without its body, as its sender sent it.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The method, as `POST`.
    pub method: &'a str,
    /// `https`, or `http` where there is no certificate: what the sender used, whatever a proxy then uses towards us.
    pub scheme: &'a str,
    /// What the sender put into `Host` or `:authority`, with the port if there is one. A signature over `host` covers
    /// this, so it has to be the name by which the request was routed.
    pub authority: &'a str,
    /// Path and query as on the wire, from the first slash on.
    pub target: &'a str,
    /// All header fields, in order; names in any case.
    pub headers: Vec<(&'a str, &'a [u8])>,
}

impl Head<'_> {
    /// The target up to its query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// What stands behind the first `?`, which may be nothing.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The authority as RFC 9421 section 2.2.3 wants it: in lower case, without its scheme's default port.
    pub fn normal_authority(&self) -> String {
        let authority = self.authority.to_ascii_lowercase();
        let port = if self.scheme.eq_ignore_ascii_case("http") { ":80" } else { ":443" };
        authority.strip_suffix(port).map(str::to_owned).unwrap_or(authority)
    }

    /// The absolute URL of RFC 9421 section 2.2.2.
    pub fn target_uri(&self) -> String {
        format!("{}://{}{}", self.scheme.to_ascii_lowercase(), self.normal_authority(), self.target)
    }

    /// Each line of a field, without the spaces around it.
    pub fn lines<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b [u8]> {
        let named = self.headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim_ascii())
    }

    /// The value of a field, its lines joined by a comma and a space as both schemes want it.
    pub fn field(&self, name: &str) -> Option<Vec<u8>> {
        if name.eq_ignore_ascii_case("host") {
            return Some(self.authority.as_bytes().to_vec());
        }
        let lines: Vec<&[u8]> = self.lines(name).collect();
        if lines.is_empty() { None } else { Some(lines.join(b", ".as_slice())) }
    }

    /// The value of a field that has to be text.
    pub fn text(&self, name: &str) -> Result<Option<String>, Error> {
        let bytes = self.field(name).map(String::from_utf8);
        bytes.transpose().map_err(|_| Error::Malformed(format!("the header {name} is not text")))
    }

    /// Refuse what could stand for two lines of a signature base: no HTTP library lets it through, and we rely on that
    /// nowhere.
    pub(super) fn check(&self) -> Result<(), Error> {
        let breaks = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        let parts = [self.method, self.scheme, self.authority, self.target];
        let broken = parts.iter().any(|part| breaks(part.as_bytes()))
            || self.headers.iter().any(|(name, value)| breaks(name.as_bytes()) || breaks(value));
        if broken || self.method.is_empty() || !self.target.starts_with('/') {
            return Err(Error::Malformed("the request line or a header breaks HTTP's syntax".to_owned()));
        }
        Ok(())
    }

    /// Whether a request of this method has a body as a rule, so that a signature has to cover its digest.
    pub(super) fn has_body(&self) -> bool {
        ["POST", "PUT", "PATCH"].contains(&self.method)
    }
}
