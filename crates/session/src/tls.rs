//! Who the server is: its certificate's pin from the invite link, or the system's roots when the link has none.

use std::sync::Arc;

use ring::digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::BuilderVerifierExt;
use voxhall_protocol::{link::CertificatePin, voice::QUIC_ALPN};

use crate::Problem;

/// A TLS 1.3 client configuration that trusts exactly the pinned certificate, or whom the system trusts.
pub fn client_config(pin: Option<CertificatePin>) -> Result<Arc<ClientConfig>, rustls::Error> {
    config(pin).map(Arc::new)
}

/// The same, for a QUIC connection that carries voice.
pub fn voice_config(pin: Option<CertificatePin>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = config(pin)?;
    config.alpn_protocols = vec![QUIC_ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn config(pin: Option<CertificatePin>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    Ok(match pin {
        Some(pin) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinVerifier { pin, provider }))
            .with_no_client_auth(),
        None => builder.with_platform_verifier()?.with_no_client_auth(),
    })
}

/// What a failed handshake means for the person.
pub fn problem_of(error: &std::io::Error, address: &str) -> Problem {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other)))) => {
            match other.downcast_ref::<WrongPin>() {
                Some(wrong) => Problem::CertificateChanged {
                    expected: wrong.expected.to_string(),
                    found: wrong.found.to_string(),
                },
                None => Problem::CertificateUntrusted {
                    reason: other.to_string(),
                },
            }
        }
        Some(rustls::Error::InvalidCertificate(reason)) => Problem::CertificateUntrusted {
            reason: reason.to_string(),
        },
        _ => Problem::Unreachable {
            address: address.to_owned(),
        },
    }
}

/// The server showed another certificate than the link names.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate has the fingerprint {found}, but the link names {expected}")]
struct WrongPin {
    expected: CertificatePin,
    found: CertificatePin,
}

#[derive(Debug)]
struct PinVerifier {
    pin: CertificatePin,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut found = [0; 32];
        found.copy_from_slice(digest::digest(&digest::SHA256, end_entity).as_ref());
        let found = CertificatePin(found);
        if found == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        let wrong = WrongPin {
            expected: self.pin,
            found,
        };
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(
            OtherError(Arc::new(wrong)),
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
