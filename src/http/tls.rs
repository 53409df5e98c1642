//! The certificate with which the server speaks https itself; it can be replaced while the server runs.
//!
//! Each handshake is given the certificate of its moment, so the listener stays, and so do open connections.
//! Must never know who issues certificates. Start with [`Certificate`].

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, SslAcceptor, SslAcceptorBuilder, SslContext, SslMethod};
use openssl::x509::X509;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Why a certificate cannot be used; the message names the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or it holds something else.
    #[error("{key} {path}: {reason}")]
    File {
        /// The configuration key that names it.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Each can be read, but they do not belong together.
    #[error("server.tls_key {0} is not the key of the certificate in server.tls_cert")]
    Mismatch(PathBuf),
    /// openssl refused.
    #[error("openssl refused: {0}")]
    Crypto(#[from] ErrorStack),
}

/// A certificate with its key in two files. Clones share what was read last.
#[derive(Clone)]
pub struct Certificate {
    files: Arc<(PathBuf, PathBuf)>,
    current: Arc<RwLock<SslContext>>,
}

/// What tells one state of the two files from another: device and inode, size and time of change of each.
type Seen = [Option<(u64, u64, u64, i64, i64)>; 2];

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificate").field(&self.files).finish()
    }
}

impl Certificate {
    /// Read both files: a chain with the server's own certificate first, and its key, both PEM.
    pub fn read(cert: &Path, key: &Path) -> Result<Certificate, Error> {
        let current = context(cert, key)?;
        let files = Arc::new((cert.to_owned(), key.to_owned()));
        Ok(Certificate { files, current: Arc::new(RwLock::new(current)) })
    }

    /// Read them again. When they cannot be used, what was read before stays in use.
    pub fn reload(&self) -> Result<(), Error> {
        let new = context(&self.files.0, &self.files.1)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// The state of the files, to be compared with a later one.
    pub fn seen(&self) -> Seen {
        let look = |path: &Path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
        };
        [look(&self.files.0), look(&self.files.1)]
    }

    /// The acceptor for a listener: it hands each connection to the certificate of that moment.
    pub(super) fn acceptor(&self) -> Result<SslAcceptorBuilder, Error> {
        let mut builder = loaded(&self.files.0, &self.files.1)?;
        let current = self.current.clone();
        // OpenSSL calls this in every handshake, also when the client names no host.
        builder.set_servername_callback(move |ssl, _| {
            let context = current.read().unwrap_or_else(PoisonError::into_inner).clone();
            ssl.set_ssl_context(&context).map_err(|_| openssl::ssl::SniError::ALERT_FATAL)
        });
        Ok(builder)
    }
}

fn context(cert: &Path, key: &Path) -> Result<SslContext, Error> {
    let mut builder = loaded(cert, key)?;
    // The web server sets the same on the acceptor; a replaced context answers for itself.
    builder.set_alpn_select_callback(|_, offered| {
        openssl::ssl::select_next_proto(b"\x02h2\x08http/1.1", offered).ok_or(AlpnError::NOACK)
    });
    Ok(builder.build().into_context())
}

/// TLS 1.2 and 1.3 with the ciphers that Mozilla calls intermediate, which every server of the fediverse speaks.
fn loaded(cert: &Path, key: &Path) -> Result<SslAcceptorBuilder, Error> {
    let fail = |setting: &'static str, path: &Path, reason: String| Error::File {
        key: setting,
        path: path.to_owned(),
        reason,
    };
    let read = |setting: &'static str, path: &Path| {
        std::fs::read(path).map_err(|error| fail(setting, path, error.to_string()))
    };
    let mut chain = X509::stack_from_pem(&read("server.tls_cert", cert)?).unwrap_or_default().into_iter();
    let Some(own) = chain.next() else {
        return Err(fail("server.tls_cert", cert, "it holds no certificate in PEM form".to_owned()));
    };
    let private = PKey::private_key_from_pem(&read("server.tls_key", key)?)
        .map_err(|_| fail("server.tls_key", key, "it holds no private key in PEM form".to_owned()))?;
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_certificate(&own)?;
    for issuer in chain {
        builder.add_extra_chain_cert(issuer)?;
    }
    builder.set_private_key(&private).map_err(|_| Error::Mismatch(key.to_owned()))?;
    builder.check_private_key().map_err(|_| Error::Mismatch(key.to_owned()))?;
    Ok(builder)
}
