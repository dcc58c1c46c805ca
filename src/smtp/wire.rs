//! The bytes of one conversation: a command out, a reply in, and where TLS
//! begins. In clear anybody on the way can add a line. What is added before
//! TLS and read after it would be taken as the server's word, so in clear
//! nothing may come but the one reply that was asked for.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lettre::transport::smtp::commands::Quit;
use lettre::transport::smtp::response::Response;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// The longest line and the longest reply that are read, in bytes: Postfix
/// (`line_length_limit`, `smtp_response_limit`) has the same.
const MOST_OF_A_LINE: usize = 1_000;
const MOST_OF_A_REPLY: usize = 100_000;

/// How long the answer to a goodbye is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection to a relay.
pub(super) struct Wire {
    stream: Stream,
    /// What was read beyond the last line.
    buffer: Vec<u8>,
    deadline: Instant,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What can go wrong on a wire.
#[derive(Debug)]
pub(super) enum WireError {
    /// No connection.
    Connect(io::Error),
    /// The connection broke, fell silent, or is not to be trusted.
    Broken(io::Error),
    /// A reply that is none.
    Unreadable(String),
    /// The server said no.
    Refused(Response),
    /// In clear more came than the reply that was asked for.
    Injected,
}

impl WireError {
    /// Returns whether it is about trust in the server: a certificate that
    /// nobody vouches for, bytes that are no TLS.
    pub(super) fn is_tls(&self) -> bool {
        match self {
            Self::Connect(error) | Self::Broken(error) => rustls_error(error).is_some(),
            Self::Injected => true,
            Self::Unreadable(_) | Self::Refused(_) => false,
        }
    }

    /// Returns whether something else than TLS came where TLS was to begin.
    pub(super) fn is_not_tls(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        matches!(rustls_error(error), Some(rustls::Error::InvalidMessage(_)))
    }

    /// Returns whether the time was over. A read that ran out of time is
    /// `WouldBlock` on Linux.
    pub(super) fn is_timeout(&self) -> bool {
        match self {
            Self::Connect(error) | Self::Broken(error) => {
                matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
            }
            Self::Unreadable(_) | Self::Refused(_) | Self::Injected => false,
        }
    }
}

/// lettre's words about a reply that cannot be used.
impl From<lettre::transport::smtp::Error> for WireError {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        use std::error::Error as _;
        Self::Unreadable(error.source().map_or_else(|| error.to_string(), ToString::to_string))
    }
}

/// rustls hands its errors out inside of an `io::Error`.
fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl Wire {
    /// Connects to the first address of a host that answers; `limit` counts
    /// for each of them, and for each read until [`Self::until`].
    pub(super) fn connect(address: (&str, u16), limit: Duration) -> Result<Self, WireError> {
        let addresses = address.to_socket_addrs().map_err(WireError::Connect)?;
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, limit) {
                Ok(stream) => {
                    let deadline = Instant::now() + limit;
                    return Ok(Self { stream: Stream::Clear(stream), buffer: Vec::new(), deadline });
                }
                Err(error) => last = error,
            }
        }
        Err(WireError::Connect(last))
    }

    /// Sets when the conversation ends.
    pub(super) fn until(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Begins TLS, in which the certificate is checked against `host`. Bytes
    /// that were added in clear and come later than this looks for them are
    /// taken for TLS, which ends the conversation, too.
    pub(super) fn secure(mut self, tls: &Arc<ClientConfig>, host: &str) -> Result<Self, WireError> {
        self.expect_silence()?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| WireError::Unreadable(format!("`{host}` is no host name")))?;
        let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other);
        let connection = connection.map_err(WireError::Broken)?;
        let Stream::Clear(stream) = self.stream else { return Ok(self) };
        let mut stream = StreamOwned::new(connection, stream);
        arm(&stream.sock, self.deadline).map_err(WireError::Broken)?;
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(WireError::Broken)?;
        }
        Ok(Self { stream: Stream::Tls(Box::new(stream)), ..self })
    }

    /// Sends a command and returns the reply, if it says yes.
    pub(super) fn command(&mut self, command: impl Display) -> Result<Response, WireError> {
        self.send(command.to_string().as_bytes())?;
        self.reply()
    }

    /// Sends bytes as they are.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.expect_silence()?;
        let deadline = self.deadline;
        let write = |out: &mut dyn Write| out.write_all(bytes).and_then(|()| out.flush());
        let sent = match &mut self.stream {
            Stream::Clear(stream) => arm(stream, deadline).and_then(|()| write(stream)),
            Stream::Tls(stream) => arm(&stream.sock, deadline).and_then(|()| write(stream)),
        };
        sent.map_err(WireError::Broken)
    }

    /// Reads one reply (RFC 5321, 4.2.1) and returns it, if it says yes.
    pub(super) fn reply(&mut self) -> Result<Response, WireError> {
        let mut text = String::new();
        loop {
            let line = self.line()?;
            text.push_str(&line);
            // A code without a text, which few servers send, has no blank either.
            text.push_str(if line.len() == 3 { " \r\n" } else { "\r\n" });
            if text.len() > MOST_OF_A_REPLY {
                return Err(WireError::Unreadable("the reply is too long".to_owned()));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        if self.is_clear() && !self.buffer.is_empty() {
            return Err(WireError::Injected);
        }
        let reply: Response = text
            .parse()
            .map_err(|_| WireError::Unreadable("this is no reply of a mail server".to_owned()))?;
        if reply.is_positive() { Ok(reply) } else { Err(WireError::Refused(reply)) }
    }

    /// Says goodbye, and waits a moment for the answer.
    pub(super) fn quit(mut self) {
        self.deadline = self.deadline.min(Instant::now() + FAREWELL);
        let _ = self.command(Quit);
        let _ = self.socket().shutdown(Shutdown::Both);
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Clear(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    fn is_clear(&self) -> bool {
        matches!(self.stream, Stream::Clear(_))
    }

    /// Fails if something came in clear that nobody asked for.
    fn expect_silence(&mut self) -> Result<(), WireError> {
        let Stream::Clear(stream) = &self.stream else { return Ok(()) };
        if !self.buffer.is_empty() {
            return Err(WireError::Injected);
        }
        let look = || -> io::Result<usize> {
            stream.set_nonblocking(true)?;
            let seen = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            seen
        };
        match look() {
            Ok(0) => Err(WireError::Broken(closed())),
            Ok(_) => Err(WireError::Injected),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(WireError::Broken(error)),
        }
    }

    /// Reads one line, without its end.
    fn line(&mut self) -> Result<String, WireError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.buffer.len() > MOST_OF_A_LINE {
                return Err(WireError::Unreadable("a line of the reply is too long".to_owned()));
            }
            let mut bytes = [0; 4096];
            let deadline = self.deadline;
            let read = match &mut self.stream {
                Stream::Clear(stream) => arm(stream, deadline).and_then(|()| stream.read(&mut bytes)),
                Stream::Tls(stream) => arm(&stream.sock, deadline).and_then(|()| stream.read(&mut bytes)),
            };
            match read {
                Ok(0) => return Err(WireError::Broken(closed())),
                Ok(read) => self.buffer.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(WireError::Broken(error)),
            }
        }
    }
}

/// Lets a socket wait until the deadline, and a moment after it: no time at
/// all would mean no limit.
fn arm(stream: &TcpStream, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    stream.set_read_timeout(Some(left))?;
    stream.set_write_timeout(Some(left))
}

fn closed() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Returns both ends of a connection in clear, the server's first.
    fn pair() -> (TcpStream, Wire) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Wire::connect(("127.0.0.1", port), Duration::from_secs(10)).unwrap();
        (listener.accept().unwrap().0, wire)
    }

    fn reply_to(text: &str) -> Result<Response, WireError> {
        let (mut server, mut wire) = pair();
        server.write_all(text.as_bytes()).unwrap();
        drop(server);
        wire.reply()
    }

    #[test]
    fn a_line_that_comes_before_the_next_command_stops_the_conversation() {
        let (mut server, mut wire) = pair();
        server.write_all(b"220 relay\r\n").unwrap();
        assert!(wire.reply().unwrap().has_code(220));
        wire.expect_silence().unwrap();
        server.write_all(b"220 early\r\n").unwrap();
        // Until it has arrived.
        wire.socket().peek(&mut [0]).unwrap();
        assert!(matches!(wire.send(b"STARTTLS\r\n"), Err(WireError::Injected)));
        drop(wire);
        assert_eq!(server.read(&mut [0; 9]).unwrap_or(0), 0, "nothing was said");
    }

    #[test]
    fn a_reply_is_read_whole_and_alone() {
        assert_eq!(reply_to("250-a\r\n250 b\r\n").unwrap().message().collect::<Vec<_>>(), ["a", "b"]);
        assert!(reply_to("250\r\n").unwrap().has_code(250));
        assert!(reply_to("250 bare end\n").unwrap().has_code(250));
        assert!(matches!(reply_to("250 a\r\n2"), Err(WireError::Injected)));
        assert!(matches!(reply_to("250 a\n250 b\r\n"), Err(WireError::Injected)));
        assert!(
            matches!(reply_to("535 5.7.8 no\r\n"), Err(WireError::Refused(reply)) if reply.has_code(535))
        );
        for none in ["hello\r\n", "250-a\r\n220 b\r\n", "9\r\n", &"2".repeat(2_000)] {
            assert!(matches!(reply_to(none), Err(WireError::Unreadable(_))), "{none}");
        }
        for broken in ["", "250 a", "250-a\r\n"] {
            assert!(matches!(reply_to(broken), Err(WireError::Broken(_))), "{broken}");
        }
    }
}
