//! Lines and replies of SMTP over any stream.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

/// A stream of either kind, encrypted or not.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Longer lines end the session.
const LONGEST: usize = 64 * 1024;

/// Reads lines and writes replies.
pub struct Wire {
    stream: BufReader<Box<dyn Duplex>>,
}

impl Wire {
    pub fn new(stream: impl Duplex + 'static) -> Self {
        Self { stream: BufReader::new(Box::new(stream)) }
    }

    /// Reads a line without its end; `None` when the client is gone.
    pub async fn read(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        let read = self.stream.read_until(b'\n', &mut bytes).await.ok()?;
        if read == 0 || bytes.len() > LONGEST {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Sends lines; `None` when the client is gone.
    pub async fn write(&mut self, reply: &str) -> Option<()> {
        let text = format!("{}\r\n", reply.replace('\n', "\r\n"));
        self.stream.write_all(text.as_bytes()).await.ok()?;
        self.stream.flush().await.ok()
    }

    /// Whether the client sent on without waiting for a reply.
    pub fn has_more(&self) -> bool {
        !self.stream.buffer().is_empty()
    }

    /// Returns the bare stream; what was read ahead is lost, as it must be
    /// before TLS begins.
    pub fn into_stream(self) -> Box<dyn Duplex> {
        self.stream.into_inner()
    }
}
