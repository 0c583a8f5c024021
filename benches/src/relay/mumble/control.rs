//! One control connection to Mumble's server.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    crypt::{Decryptor, Encryptor},
    message::{self, HEADER_LEN, Kind, Writer},
};

/// 1.3.4, as Mumble's clients tell it.
const VERSION: u64 = 0x0001_0304;
/// As Mumble's clients do.
pub const PING_EVERY: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const MAX_BODY: usize = 1 << 20;

pub struct Wire {
    stream: BufReader<TlsStream<TcpStream>>,
    body: Vec<u8>,
}

/// What signing in gave.
pub struct SignedIn {
    pub wire: Wire,
    pub session: u64,
    pub voice: Voice,
}

/// Keys of the voice path.
pub struct Voice {
    pub seal: Encryptor,
    pub open: Decryptor,
}

impl Wire {
    pub async fn sign_in(
        at: SocketAddr,
        tls: &TlsConnector,
        name: &str,
        password: Option<&str>,
    ) -> anyhow::Result<SignedIn> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        let stream = tls
            .connect(ServerName::from(at.ip()), stream)
            .await
            .context("no TLS with Mumble's server")?;
        let mut wire = Self {
            stream: BufReader::new(stream),
            body: Vec::new(),
        };
        let version = Writer::new(Kind::Version)
            .number(1, VERSION)
            .text(2, "voxhall-bench");
        let mut authenticate = Writer::new(Kind::Authenticate).text(1, name);
        if let Some(password) = password {
            authenticate = authenticate.text(2, password);
        }
        wire.send(version).await?;
        wire.send(authenticate.number(5, 1)).await?;
        let mut voice = None;
        let welcome = async {
            loop {
                let (kind, body) = wire.read().await?;
                if kind == Kind::CryptSetup as u16 {
                    voice = Some(crypt_setup(body).context("no keys for voice")?);
                } else if kind == Kind::Reject as u16 {
                    let reason = message::bytes(body, 2).unwrap_or_default();
                    bail!("refused: {}", String::from_utf8_lossy(reason));
                } else if kind == Kind::ServerSync as u16 {
                    return message::number(body, 1).context("no session number");
                }
            }
        };
        let session = time::timeout(ANSWER_WITHIN, welcome)
            .await
            .context("Mumble's server does not let anybody in")??;
        Ok(SignedIn {
            wire,
            session,
            voice: voice.context("no keys for voice")?,
        })
    }

    pub async fn send(&mut self, message: Writer) -> anyhow::Result<()> {
        self.stream.write_all(&message.finish()).await?;
        Ok(self.stream.flush().await?)
    }

    /// Kind and body of the next message.
    pub async fn read(&mut self) -> anyhow::Result<(u16, &[u8])> {
        let mut head = [0; HEADER_LEN];
        self.stream.read_exact(&mut head).await?;
        let (kind, len) = message::header(head);
        if len > MAX_BODY {
            bail!("a message of {len} bytes");
        }
        self.body.resize(len, 0);
        self.stream.read_exact(&mut self.body).await?;
        Ok((kind, &self.body))
    }

    /// Makes a channel in the root, and gives its number.
    pub async fn add_channel(&mut self, name: &str) -> anyhow::Result<u64> {
        let wanted = Writer::new(Kind::ChannelState).number(2, 0).text(3, name);
        self.send(wanted).await?;
        loop {
            let (kind, body) = self.read().await?;
            if kind == Kind::ChannelState as u16 && message::bytes(body, 3) == Some(name.as_bytes())
            {
                return message::number(body, 1).context("a channel without a number");
            }
        }
    }

    /// Enters a channel, and returns when the server says so.
    pub async fn enter(&mut self, session: u64, channel: u64) -> anyhow::Result<()> {
        let wanted = Writer::new(Kind::UserState)
            .number(1, session)
            .number(5, channel);
        self.send(wanted).await?;
        let entered = async {
            loop {
                let (kind, body) = self.read().await?;
                if kind == Kind::UserState as u16
                    && message::number(body, 1) == Some(session)
                    && message::number(body, 5) == Some(channel)
                {
                    return anyhow::Ok(());
                }
            }
        };
        time::timeout(ANSWER_WITHIN, entered)
            .await
            .context("nobody is let into a channel")?
    }

    /// Answers pings until the connection ends.
    pub async fn stay(mut self) -> anyhow::Error {
        let mut beat = time::interval(PING_EVERY);
        loop {
            // `read` may be cut off between head and body by the beat, so it is let finish.
            let ping = Writer::new(Kind::Ping).number(1, 1);
            beat.tick().await;
            if let Err(error) = self.send(ping).await {
                return error;
            }
            loop {
                match self.read().await {
                    Ok((kind, _)) if kind == Kind::Ping as u16 => break,
                    Ok(_) => {}
                    Err(error) => return error,
                }
            }
        }
    }
}

fn crypt_setup(body: &[u8]) -> Option<Voice> {
    let key = message::bytes(body, 1)?.try_into().ok()?;
    let ours = message::bytes(body, 2)?.try_into().ok()?;
    let theirs = message::bytes(body, 3)?.try_into().ok()?;
    Some(Voice {
        seal: Encryptor::new(key, ours),
        open: Decryptor::new(key, theirs),
    })
}

/// Trusts any certificate: the server is this benchmark's own, on loopback.
pub fn tls() -> anyhow::Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
