//! Scripted servers on loopback for the two senders, with a certificate of an
//! authority made for the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Anything that can be read and written: a connection, with or without TLS.
pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// A server's half of TLS, and the root its clients have to trust.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    pub root: Vec<u8>,
    /// The server's certificate and its key, in PEM, for a server of somebody else's.
    pub certificate: String,
    pub key: String,
}

impl Tls {
    /// Makes an authority and a certificate for the loopback names.
    pub fn make() -> Self {
        Self::naming(&["localhost", "127.0.0.1", "127.0.0.65"])
    }

    /// The same for these names and addresses.
    pub fn naming(names: &[&str]) -> Self {
        let mut root = CertificateParams::new(Vec::<String>::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = KeyPair::generate().unwrap();
        let pem = root.self_signed(&root_key).unwrap().pem();
        let issuer = Issuer::new(root, root_key);
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let mut leaf = CertificateParams::new(names).unwrap();
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        let (certificate_pem, key_pem) = (certificate.pem(), key.serialize_pem());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self { config: Arc::new(config), root: pem.into_bytes(), certificate: certificate_pem, key: key_pem }
    }

    /// Begins TLS on a connection.
    pub fn wrap(&self, stream: TcpStream) -> Box<dyn Wire> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        Box::new(StreamOwned::new(connection, stream))
    }
}

/// A listener whose connections are handed to a function, one by one, on a
/// thread of its own. What was heard is kept.
pub struct Listener {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

/// What a function hears is written here.
#[derive(Clone)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn add(&self, text: impl Into<String>) -> usize {
        let mut heard = self.0.lock().unwrap();
        heard.push(text.into());
        heard.len()
    }
}

impl Listener {
    pub fn start(serve: impl Fn(TcpStream, &Notes) + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", serve).unwrap()
    }

    pub fn start_at(
        address: &str,
        serve: impl Fn(TcpStream, &Notes) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Notes(Arc::clone(&heard));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serve, notes) = (Arc::clone(&serve), notes.clone());
                // A client that never speaks must not keep the test alive.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                thread::spawn(move || serve(stream, &notes));
            }
        });
        Ok(Self { address, heard })
    }

    /// Returns what was heard so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// Reads one HTTP request, head and body; `None` at the end of the connection.
pub fn read_request(wire: &mut dyn Wire) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0_u8; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        if wire.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")
            .map(str::trim)
            .and_then(|it| it.parse::<usize>().ok())
    });
    let mut body = vec![0_u8; length.unwrap_or(0)];
    wire.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

/// Answers in HTTP/1.1.
pub fn answer(wire: &mut dyn Wire, status: u16, headers: &str, body: &str) {
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
    let _ = wire.write_all(text.as_bytes());
    let _ = wire.flush();
}

/// Reads one line without its end, a byte at a time: what follows a line may
/// be the beginning of TLS.
pub fn read_line(wire: &mut dyn Wire) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0_u8; 1];
    loop {
        if wire.read(&mut byte).ok()? == 0 {
            return None;
        }
        match byte[0] {
            b'\n' => return Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
            other => bytes.push(other),
        }
    }
}

/// Writes one line.
pub fn say(wire: &mut dyn Wire, line: &str) {
    let _ = wire.write_all(format!("{line}\r\n").as_bytes());
    let _ = wire.flush();
}
