//! TLS 1.2 and 1.3: a certificate and its key, read again when they are renewed.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, Error as TlsError, InconsistentKeys, RootCertStore, ServerConfig,
};

use crate::config::TlsFiles;
use crate::error::{Error, Result};

/// What is spoken inside, RFC 7301, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
const DAY: u64 = 86_400;

/// The files of a certificate and its key, and what is presented of them.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    now: RwLock<Presented>,
}

#[derive(Debug, Clone)]
struct Presented {
    config: Arc<ServerConfig>,
    /// SHA-256 of both files.
    digest: [u8; 32],
    /// What clients will find wrong with the certificate.
    doubt: Option<String>,
}

impl Tls {
    pub(crate) fn open(files: &TlsFiles) -> Result<Self> {
        let now = RwLock::new(read(files)?);
        Ok(Self { files: files.clone(), now })
    }

    /// What new connections are presented.
    pub(crate) fn now(&self) -> Arc<ServerConfig> {
        self.presented().config
    }

    /// What clients will find wrong with the certificate.
    pub(crate) fn doubt(&self) -> Option<String> {
        self.presented().doubt
    }

    /// Reads the files again; gives whether they are others. What was presented stays where
    /// they cannot be used.
    pub(crate) fn reload(&self) -> Result<bool> {
        let new = read(&self.files)?;
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let changed = now.digest != new.digest;
        if changed {
            *now = new;
        }
        Ok(changed)
    }

    fn presented(&self) -> Presented {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(files: &TlsFiles) -> Result<Presented> {
    let of = |path: &Path| std::fs::read(path).map_err(Error::io("read", path.display()));
    let (certificate, key) = (of(&files.certificate)?, of(&files.key)?);
    let digest = Sha256::new().chain_update(&certificate).chain_update(&key).finalize().into();
    let bad = |path: &Path, reason: String| Error::Tls { path: path.to_owned(), reason };

    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.map_err(|error| bad(&files.certificate, damaged(&error)))?;
    let Some(first) = chain.first().cloned() else {
        let reason = "it holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)";
        return Err(bad(&files.certificate, reason.into()));
    };
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| {
        let reason = match error {
            pem::Error::NoItemsFound => "it holds no private key in PEM that is not encrypted \
                                         (`-----BEGIN PRIVATE KEY-----`)"
                .into(),
            error => damaged(&error),
        };
        bad(&files.key, reason)
    })?;

    let provider = Arc::new(ring::default_provider());
    let doubt = doubt(&first, &provider).map_err(|reason| bad(&files.certificate, reason))?;
    let built = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = built.map_err(|error| match error {
        TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => bad(
            &files.key,
            format!(
                "it is not the key of the first certificate in {}",
                files.certificate.display()
            ),
        ),
        TlsError::InvalidCertificate(error) => bad(&files.certificate, error.to_string()),
        error => bad(&files.key, error.to_string()),
    })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Presented { config: Arc::new(config), digest, doubt })
}

/// How a file of PEM is damaged.
fn damaged(error: &pem::Error) -> String {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "a section of it has no end; it may be cut off",
        pem::Error::IllegalSectionStart { .. } => "a line that begins a section is damaged",
        pem::Error::Base64Decode(_) => "a section of it is no base64",
        _ => return error.to_string(),
    };
    reason.into()
}

/// What the dates of a certificate have against it now, or why it is none.
fn doubt(
    certificate: &CertificateDer<'_>,
    provider: &CryptoProvider,
) -> std::result::Result<Option<String>, String> {
    let parsed = ParsedCertificate::try_from(certificate)
        .map_err(|_| "its first certificate is not encoded as X.509 says")?;
    // Dates are looked at before the issuer, whom nobody trusts here.
    let judged = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        UnixTime::now(),
        provider.signature_verification_algorithms.all,
    );
    let days = |from: UnixTime, to: UnixTime| to.as_secs().saturating_sub(from.as_secs()) / DAY;
    Ok(match judged {
        Err(TlsError::InvalidCertificate(CertificateError::ExpiredContext { time, not_after })) => {
            Some(format!("expired {} days ago", days(not_after, time)))
        }
        Err(TlsError::InvalidCertificate(CertificateError::NotValidYetContext {
            time,
            not_before,
        })) => Some(format!("is not valid before {} days from now", days(time, not_before) + 1)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed,
    };

    fn made() -> (String, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn dated(from: i32, to: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn what_is_wrong_with_a_certificate_or_its_key_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("the.crt"),
            key: folder.path().join("the.key"),
        };
        let told = || Tls::open(&files).map(|tls| tls.doubt()).map_err(|error| error.to_string());
        let write = |certificate: &str, key: &str| {
            std::fs::write(&files.certificate, certificate).unwrap();
            std::fs::write(&files.key, key).unwrap();
        };
        let ((certificate, key), (_, other)) = (made(), made());
        assert!(told().unwrap_err().contains("cannot read"), "{:?}", told());
        write(&certificate, &key);
        assert_eq!(told(), Ok(None));
        for (certificate, key, wrong, reason) in [
            (&*certificate, &*other, "the.key", "not the key of the first certificate"),
            (&certificate, &certificate, "the.key", "no private key in PEM"),
            (&certificate, "", "the.key", "no private key in PEM"),
            (&key, &key, "the.crt", "no certificate in PEM"),
            (&certificate[..certificate.len() / 2], &key, "the.crt", "has no end"),
            (
                "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
                &key,
                "the.crt",
                "X.509",
            ),
        ] {
            write(certificate, key);
            let told = told().unwrap_err();
            assert!(told.contains(wrong) && told.contains(reason), "{told}");
        }
        // Dates are told, and the certificate is presented.
        let (certificate, key) = dated(2001, 2002);
        write(&certificate, &key);
        assert!(told().unwrap().unwrap().starts_with("expired "), "{:?}", told());
        let (certificate, key) = dated(2900, 2901);
        write(&certificate, &key);
        assert!(told().unwrap().unwrap().starts_with("is not valid before "), "{:?}", told());
    }

    #[test]
    fn renewed_files_are_presented_and_damaged_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("the.crt"),
            key: folder.path().join("the.key"),
        };
        let write = |certificate: &str, key: &str| {
            std::fs::write(&files.certificate, certificate).unwrap();
            std::fs::write(&files.key, key).unwrap();
        };
        let ((certificate, key), (new, new_key)) = (made(), made());
        write(&certificate, &key);
        let tls = Tls::open(&files).unwrap();
        assert!(!tls.reload().unwrap());
        write(&new, &key);
        let before = tls.now();
        tls.reload().unwrap_err();
        assert!(Arc::ptr_eq(&before, &tls.now()));
        write(&new, &new_key);
        assert!(tls.reload().unwrap());
        assert!(!Arc::ptr_eq(&before, &tls.now()));
    }
}
