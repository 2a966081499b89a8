//! Logging in: clear text where it is protected, MD5, SCRAM with and without channel binding.
//! It must not know sockets; it answers one request of the server after the other.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use postgres_protocol::message::frontend;
use rivet_plugin_api::{ErrorKind, PluginError, Result};

use crate::address::Settings;
use crate::error::protocol;
use crate::tls::end_point_hash;

/// A login in progress.
pub struct Login<'a> {
    settings: &'a Settings,
    /// The server's certificate, under TLS.
    certificate: Option<Vec<u8>>,
    /// Whether nobody on the way can listen.
    private: bool,
    scram: Option<ScramSha256>,
}

impl<'a> Login<'a> {
    pub fn new(settings: &'a Settings, certificate: Option<Vec<u8>>, private: bool) -> Self {
        Self { settings, certificate, private, scram: None }
    }

    /// The answer to an Authentication frame; none when nothing is to be sent.
    ///
    /// # Errors
    /// `Auth`; `Unsupported` for a method that is not built.
    pub fn answer(&mut self, body: &[u8]) -> Result<Option<BytesMut>> {
        let (method, data) =
            body.split_first_chunk::<4>().ok_or_else(|| protocol("an authentication request cut short"))?;
        let mut out = BytesMut::new();
        match i32::from_be_bytes(*method) {
            0 => return Ok(None),
            3 if !self.private => {
                return Err(PluginError::new(
                    ErrorKind::Auth,
                    "postgres.clear_text",
                    "the server asks for the password in clear text",
                )
                .hint("protect the connection with a tls block, or let the server ask for scram-sha-256"));
            }
            3 => put(frontend::password_message(self.password()?, &mut out))?,
            5 => {
                let salt = data.first_chunk::<4>().ok_or_else(|| protocol("an MD5 salt cut short"))?;
                let hash = md5_hash(self.settings.user.as_bytes(), self.password()?, *salt);
                put(frontend::password_message(hash.as_bytes(), &mut out))?;
            }
            10 => self.begin_scram(data, &mut out)?,
            11 => {
                let scram = self.scram.as_mut().ok_or_else(|| protocol("SASL data out of order"))?;
                scram.update(data).map_err(|e| scram_failed(&e))?;
                put(frontend::sasl_response(scram.message(), &mut out))?;
            }
            12 => {
                let scram = self.scram.as_mut().ok_or_else(|| protocol("SASL data out of order"))?;
                scram.finish(data).map_err(|e| scram_failed(&e))?;
                return Ok(None);
            }
            other => {
                let name = match other {
                    2 => "Kerberos",
                    7 => "GSSAPI",
                    9 => "SSPI",
                    _ => "an unknown method",
                };
                return Err(PluginError::new(
                    ErrorKind::Unsupported,
                    "postgres.auth_method",
                    format!("the server asks for {name}"),
                )
                .hint("let pg_hba.conf admit this login with scram-sha-256 or a client certificate"));
            }
        }
        Ok(Some(out))
    }

    fn begin_scram(&mut self, mechanisms: &[u8], out: &mut BytesMut) -> Result<()> {
        let offered: Vec<&[u8]> = mechanisms.split(|b| *b == 0).collect();
        let offers = |name: &str| offered.contains(&name.as_bytes());
        let hash = self.certificate.as_deref().and_then(end_point_hash);
        let (mechanism, binding) = match hash {
            Some(hash) if offers(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash))
            }
            // We could, the server cannot: said so, that a man in the middle cannot take the offer away unnoticed.
            Some(_) if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            _ if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
            _ => {
                return Err(PluginError::new(
                    ErrorKind::Unsupported,
                    "postgres.auth_method",
                    "the server offers no SCRAM we know",
                )
                .hint("let pg_hba.conf admit this login with scram-sha-256"));
            }
        };
        tracing::debug!(mechanism, "logging in");
        let scram = ScramSha256::new(self.password()?, binding);
        put(frontend::sasl_initial_response(mechanism, scram.message(), out))?;
        self.scram = Some(scram);
        Ok(())
    }

    fn password(&self) -> Result<&'a [u8]> {
        let password = self.settings.password.as_ref().map(|p| p.expose().as_bytes());
        password.ok_or_else(|| {
            PluginError::new(
                ErrorKind::Auth,
                "postgres.no_password",
                "the server asks for a password and the source has none",
            )
            .hint("set `password_env`, or a url with a password through `url_env`")
        })
    }
}

fn put(written: std::io::Result<()>) -> Result<()> {
    written.map_err(|_| PluginError::new(ErrorKind::Config, "postgres.connection", "user or password hold a zero byte"))
}

fn scram_failed(e: &std::io::Error) -> PluginError {
    PluginError::new(ErrorKind::Auth, "postgres.scram", "the server could not prove that it knows the password")
        .cause(e)
        .hint("is this the right server, and nothing in between?")
}
