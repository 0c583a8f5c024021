//! The server's identity: a certificate it makes for itself, which links pin, or one from files, which systems trust.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use voxhall_protocol::{link::CertificatePin, voice::QUIC_ALPN};

use crate::config::CertificateFiles;

/// Certificate and key of our own, in one file, so that they can't part.
pub const OWN_FILE: &str = "certificate.pem";

pub struct Identity {
    pub tls: Arc<ServerConfig>,
    /// For QUIC connections that carry voice.
    pub quic: Arc<ServerConfig>,
    /// For links; none where the system's roots vouch for the certificate.
    pub pin: Option<CertificatePin>,
    current: Arc<Current>,
    /// Where it may have been renewed.
    files: Option<CertificateFiles>,
}

/// Certificate and key that the next connection gets.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Why there is no identity to serve with.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("can't read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("can't write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} holds no usable certificate and private key in PEM form: {reason}", path.display())]
    Pem { path: PathBuf, reason: String },
    #[error("certificate and key don't work together: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("can't make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

impl Identity {
    /// The certificate from files.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn from_files(files: &CertificateFiles) -> Result<Self, IdentityError> {
        Self::new(read_pair(files)?, None, Some(files.clone()))
    }

    /// Reads the files again, for connections from now on; those that are open go on. Says whether there are files.
    ///
    /// # Errors
    /// See [`IdentityError`]; what was in use stays in use.
    pub fn reload(&self) -> Result<bool, IdentityError> {
        let Some(files) = &self.files else {
            return Ok(false);
        };
        self.current.0.store(Arc::new(read_pair(files)?));
        Ok(true)
    }

    /// The server's own certificate from the data folder. The first start makes it; it is never replaced, since every link holds
    /// its pin.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn own(data: &Path) -> Result<Self, IdentityError> {
        let path = data.join(OWN_FILE);
        if !path.exists() {
            make_own(&path)?;
        }
        let chain = read_chain(&path)?;
        let key = read_key(&path)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &chain[0]);
        let pin = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        Self::new(certified(chain, key)?, Some(CertificatePin(pin)), None)
    }

    fn new(
        pair: CertifiedKey,
        pin: Option<CertificatePin>,
        files: Option<CertificateFiles>,
    ) -> Result<Self, IdentityError> {
        let current = Arc::new(Current(ArcSwap::from_pointee(pair)));
        Ok(Self {
            tls: server_config(Arc::clone(&current), b"http/1.1")?,
            quic: server_config(Arc::clone(&current), QUIC_ALPN)?,
            pin,
            current,
            files,
        })
    }
}

fn make_own(path: &Path) -> Result<(), IdentityError> {
    let key = KeyPair::generate()?;
    let mut params =
        CertificateParams::new(["voxhall.invalid".to_owned(), "localhost".to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Voxhall server");
    // The pin vouches for it, not a date.
    params.not_after = rcgen::date_time_ymd(2999, 1, 1);
    let certificate = params.self_signed(&key)?;
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    write_secret(path, pem.as_bytes()).map_err(|source| IdentityError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that only this user reads; it is there whole or not at all.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let pem = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_pem(path, error.to_string()))?;
    if chain.is_empty() {
        return Err(bad_pem(path, "no certificate in it"));
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| bad_pem(path, error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|source| IdentityError::Read {
        path: path.to_owned(),
        source,
    })
}

fn bad_pem(path: &Path, reason: impl Into<String>) -> IdentityError {
    IdentityError::Pem {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn read_pair(files: &CertificateFiles) -> Result<CertifiedKey, IdentityError> {
    Ok(certified(read_chain(&files.chain)?, read_key(&files.key)?)?)
}

/// Refuses a key that is another certificate's.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
}

fn server_config(
    current: Arc<Current>,
    protocol: &[u8],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_certificate_is_made_once_and_kept_secret() {
        let data = tempfile::tempdir().unwrap();
        let first = Identity::own(data.path()).unwrap();
        assert!(first.pin.is_some());
        assert_eq!(Identity::own(data.path()).unwrap().pin, first.pin);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(data.path().join(OWN_FILE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_certificate_is_named_and_not_replaced() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(OWN_FILE);
        fs::write(&path, "nothing").unwrap();
        let error = Identity::own(data.path()).err().unwrap().to_string();
        assert!(error.contains(OWN_FILE), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"nothing");
    }

    #[test]
    fn a_certificate_from_files_needs_no_pin() {
        let data = tempfile::tempdir().unwrap();
        Identity::own(data.path()).unwrap();
        let own = data.path().join(OWN_FILE);
        let files = CertificateFiles {
            chain: own.clone(),
            key: own,
        };
        assert!(Identity::from_files(&files).unwrap().pin.is_none());
    }

    #[test]
    fn renewed_files_are_read_and_bad_ones_change_nothing() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Identity::own(data.path()).unwrap();
        Identity::own(other.path()).unwrap();
        let pem = |folder: &tempfile::TempDir| fs::read(folder.path().join(OWN_FILE)).unwrap();
        let (first, second) = (pem(&data), pem(&other));
        let [chain, key] = ["chain.pem", "key.pem"].map(|name| data.path().join(name));
        let write = |chain_pem: &[u8], key_pem: &[u8]| {
            fs::write(&chain, chain_pem).unwrap();
            fs::write(&key, key_pem).unwrap();
        };
        let files = CertificateFiles {
            chain: chain.clone(),
            key: key.clone(),
        };
        write(&first, &first);
        let identity = Identity::from_files(&files).unwrap();
        let served = || identity.current.0.load().cert[0].clone();
        let before = served();
        for (chain_pem, key_pem) in [(&second[..], &first[..]), (b"nothing", &second)] {
            write(chain_pem, key_pem);
            assert!(identity.reload().is_err());
            assert_eq!(served(), before);
        }
        write(&second, &second);
        assert!(identity.reload().unwrap());
        assert_ne!(served(), before);
        assert!(!Identity::own(data.path()).unwrap().reload().unwrap());
    }
}
