//! Serves SMTP on one listener: STARTTLS first, AUTH only then, and a record of
//! the conversation without the password. What a login may do and where a mail
//! goes is the vendor's business.

mod conversation;
mod line;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::world::{Shared, World};
use conversation::Conversation;

/// A relay of some vendor.
#[derive(Clone, Copy)]
pub struct Relay {
    pub name: &'static str,
    /// The text behind the 220 it begins with.
    pub greeting: &'static str,
    /// Says whether a login may send, or with which reply it is refused.
    pub admit: fn(&mut World, login: &str, password: &str) -> Result<(), String>,
    /// Takes a mail and says with which reply.
    pub accept: fn(&mut World, letter: Letter) -> String,
}

/// A mail as it came in.
pub struct Letter {
    pub login: String,
    pub sender: String,
    pub recipients: Vec<String>,
    /// Head and body, dots unstuffed.
    pub data: String,
}

impl Letter {
    /// Returns a header's value, unfolded; names are case-insensitive.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.data.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
        head.split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    }

    /// Returns the bare address in a header such as `Bob <bob@host>`.
    pub fn header_address(&self, name: &str) -> Option<String> {
        let value = self.header(name)?;
        let bare = value.split_once('<').map_or(value.as_str(), |(_, rest)| rest.trim_end_matches('>'));
        Some(bare.trim().to_owned())
    }

    pub fn body(&self) -> &str {
        self.data.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default()
    }
}

/// Whether TLS begins with the connection or with a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Starttls,
    Implicit,
}

/// Accepts connections for ever.
pub async fn serve(listener: TcpListener, relay: Relay, shared: Shared, acceptor: TlsAcceptor, tls: Tls) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (shared, acceptor) = (shared.clone(), acceptor.clone());
        tokio::spawn(async move {
            let conversation = Conversation::begin(relay, shared, acceptor);
            match tls {
                Tls::Starttls => conversation.hold(stream).await,
                Tls::Implicit => conversation.hold_encrypted(stream).await,
            }
        });
    }
}
