//! The certificate that a server shows, and everything that is wrong with it.
//!
//! Looks at it as a stranger's server does, but goes on where that one hangs up. Must never know what to do about a fault.

use super::client::{CONNECT_TIMEOUT, Error};
use chrono::{DateTime, Utc};
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509Ref;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest silence in a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a stranger would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its time is over.
    Expired,
    /// Its time has not come yet.
    NotYetValid,
    /// It is for other names.
    OtherName,
    /// No authority that is believed has signed it, or a certificate between is missing.
    UnknownAuthority,
    /// Something else.
    Other,
}

/// A certificate as it was shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The names that it is for.
    pub names: Vec<String>,
    /// Who signed it, as a common name or an organisation.
    pub issuer: String,
    /// Since when it is valid; `None` where that cannot be read.
    pub since: Option<DateTime<Utc>>,
    /// Until when it is valid; `None` where that cannot be read.
    pub until: Option<DateTime<Utc>>,
    /// How many certificates were shown with it, itself included.
    pub chain: usize,
    /// What is wrong with it, each once.
    pub faults: Vec<Fault>,
}

/// Connect, and look at the certificate for `host`. [`Error::Connect`] where nothing answers, or no TLS.
pub async fn look(host: &str, address: SocketAddr, extra_ca: Option<PathBuf>) -> Result<Shown, Error> {
    let host = host.to_owned();
    let looking = tokio::task::spawn_blocking(move || look_now(&host, address, extra_ca));
    looking.await.map_err(|error| Error::Broken(error.to_string()))?
}

fn look_now(host: &str, address: SocketAddr, extra_ca: Option<PathBuf>) -> Result<Shown, Error> {
    let connect = |error: std::io::Error| Error::Connect(error.to_string());
    let setup = |error: openssl::error::ErrorStack| Error::Setup(error.to_string());
    let socket = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).map_err(connect)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(connect)?;
    socket.set_write_timeout(Some(PATIENCE)).map_err(connect)?;
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(setup)?;
    if let Some(path) = extra_ca {
        builder
            .set_ca_file(&path)
            .map_err(|error| Error::Setup(format!("federation.extra_ca {}: {error}", path.display())))?;
    }
    let faults = Arc::new(Mutex::new(Vec::new()));
    let noted = faults.clone();
    builder.set_verify_callback(SslVerifyMode::PEER, move |good, context| {
        if !good {
            let fault = fault(context.error().as_raw());
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            if !noted.contains(&fault) {
                noted.push(fault);
            }
        }
        true
    });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = builder.build().connect(bare, socket).map_err(|error| Error::Connect(error.to_string()))?;
    let certificate = stream.ssl().peer_certificate();
    let certificate = certificate.ok_or_else(|| Error::Connect("no certificate was shown".to_owned()))?;
    let chain = stream.ssl().peer_cert_chain().map_or(1, openssl::stack::StackRef::len);
    let faults = faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (since, until) = (time(certificate.not_before()), time(certificate.not_after()));
    Ok(Shown { names: names(&certificate), issuer: issuer(&certificate), since, until, chain, faults })
}

/// The kind of a verification error, by its number in OpenSSL's `x509_vfy.h`.
fn fault(number: i32) -> Fault {
    match number {
        9 => Fault::NotYetValid,
        10 => Fault::Expired,
        // Host name, mail address or IP address mismatch.
        62..=64 => Fault::OtherName,
        // An issuer is missing, not believed, not the one it says, or the certificate itself.
        2 | 7 | 18..=21 => Fault::UnknownAuthority,
        _ => Fault::Other,
    }
}

fn names(certificate: &X509Ref) -> Vec<String> {
    let names = certificate.subject_alt_names().into_iter().flatten();
    let read = |name: openssl::x509::GeneralName| match (name.dnsname(), name.ipaddress()) {
        (Some(name), _) => Some(name.to_owned()),
        (None, Some(bytes)) => match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
            (Ok(four), _) => Some(std::net::Ipv4Addr::from(four).to_string()),
            (_, Ok(sixteen)) => Some(std::net::Ipv6Addr::from(sixteen).to_string()),
            _ => None,
        },
        _ => None,
    };
    names.filter_map(read).collect()
}

fn issuer(certificate: &X509Ref) -> String {
    let name = certificate.issuer_name();
    let mut entries = name
        .entries_by_nid(openssl::nid::Nid::ORGANIZATIONNAME)
        .chain(name.entries_by_nid(openssl::nid::Nid::COMMONNAME));
    let text = entries.find_map(|entry| Some(entry.data().to_string().ok()?.to_string()));
    text.unwrap_or_else(|| "nobody".to_owned())
}

fn time(at: &Asn1TimeRef) -> Option<DateTime<Utc>> {
    let epoch = Asn1Time::from_unix(0).ok()?;
    let since = epoch.diff(at).ok()?;
    DateTime::from_timestamp(i64::from(since.days) * 86_400 + i64::from(since.secs), 0)
}
