//! Serves DNS over UDP and TCP on one port. Answers too long for a datagram
//! are truncated there, so that the client comes again by TCP.

use std::str::FromStr;
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, MX, NS, TXT};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::world::Shared;
use crate::zone::{self, Found, Resource};

/// How many aliases are followed.
const ALIASES: usize = 8;

/// Binds UDP and TCP on the same port.
pub async fn bind() -> anyhow::Result<(UdpSocket, TcpListener)> {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        // Somebody may have the port for UDP: then another one is taken.
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr()?).await {
            return Ok((udp, tcp));
        }
    }
}

/// Answers for ever.
pub async fn serve(udp: UdpSocket, tcp: TcpListener, shared: Shared) {
    let udp = Arc::new(udp);
    tokio::join!(datagrams(udp, shared.clone()), streams(tcp, shared));
}

async fn datagrams(socket: Arc<UdpSocket>, shared: Shared) {
    let mut buffer = [0u8; 4096];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(request) = Message::from_vec(&buffer[..length]) else { continue };
        let reply = answer(&request, &shared);
        let Ok(mut bytes) = reply.to_vec() else { continue };
        if bytes.len() > usize::from(request.max_payload()) {
            bytes = reply.truncate().to_vec().unwrap_or_default();
        }
        let _ = socket.send_to(&bytes, peer).await;
    }
}

async fn streams(listener: TcpListener, shared: Shared) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(stream_of_queries(stream, shared.clone()));
    }
}

async fn stream_of_queries(mut stream: TcpStream, shared: Shared) -> Option<()> {
    loop {
        let length = stream.read_u16().await.ok()?;
        let mut buffer = vec![0u8; usize::from(length)];
        stream.read_exact(&mut buffer).await.ok()?;
        let bytes = answer(&Message::from_vec(&buffer).ok()?, &shared).to_vec().ok()?;
        let mut framed = u16::try_from(bytes.len()).ok()?.to_be_bytes().to_vec();
        framed.extend(bytes);
        stream.write_all(&framed).await.ok()?;
    }
}

fn answer(request: &Message, shared: &Shared) -> Message {
    let mut reply = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.recursion_desired = request.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.metadata.authoritative = true;
    reply.add_queries(request.queries.iter().cloned());
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        reply.set_edns(edns);
    }
    let Some(query) = request.queries.first() else {
        reply.metadata.response_code = ResponseCode::FormErr;
        return reply;
    };
    let world = shared.lock();
    let kind = query.query_type().to_string();
    let mut name = query.name().clone();
    for _ in 0..ALIASES {
        let found = match zone::find(&world, &name.to_utf8(), &kind) {
            Found::Records(found) => found,
            // The end of a chain of aliases may lie outside this world.
            Found::NoSuchName | Found::Failure(_) if !reply.answers.is_empty() => break,
            Found::NoSuchName => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                break;
            }
            Found::Failure(rcode) => {
                let refused = rcode == "REFUSED";
                let code = if refused { ResponseCode::Refused } else { ResponseCode::ServFail };
                reply.metadata.response_code = code;
                break;
            }
        };
        let alias = found.iter().find(|it| it.kind == "CNAME" && kind != "CNAME").cloned();
        for resource in &found {
            if let Some(data) = resource.data() {
                reply.add_answer(Record::from_rdata(name.clone(), 60, data));
            }
        }
        match alias.and_then(|it| Name::from_str(&it.value).ok()) {
            Some(target) => name = target,
            None => break,
        }
    }
    reply
}

impl Resource {
    fn data(&self) -> Option<RData> {
        let name = |text: &str| Name::from_str(&format!("{}.", text.trim_end_matches('.'))).ok();
        match self.kind.as_str() {
            "A" => self.value.parse().ok().map(|address| RData::A(A(address))),
            "CNAME" => name(&self.value).map(|it| RData::CNAME(CNAME(it))),
            "NS" => name(&self.value).map(|it| RData::NS(NS(it))),
            "MX" => {
                let (priority, host) = self.value.split_once(' ')?;
                Some(RData::MX(MX::new(priority.parse().ok()?, name(host.trim())?)))
            }
            // A string of a TXT record holds 255 bytes at most.
            "TXT" => {
                let bytes = self.value.as_bytes();
                let strings = if bytes.is_empty() { vec![&b""[..]] } else { bytes.chunks(255).collect() };
                Some(RData::TXT(TXT::from_bytes(strings)))
            }
            _ => None,
        }
    }
}
