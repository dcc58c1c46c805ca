//! Serves HTTP on one listener: reads the request whole, lets a fault strike,
//! asks the vendor's code for the reply, notes it, sends it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::{Request, Response, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::call::{Call, Reply};
use crate::faults::{Cut, Plan, Strike};
use crate::moment;
use crate::world::{Shared, World};

/// What answers on a listener.
#[derive(Clone, Copy)]
pub struct Host {
    pub name: &'static str,
    pub answer: fn(&mut World, &Call) -> Reply,
    /// The control listener is neither recorded nor hit by faults.
    pub observed: bool,
}

/// The connection is to be cut.
#[derive(Debug)]
struct Severed;

impl std::fmt::Display for Severed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for Severed {}

/// Accepts connections for ever.
pub async fn serve(
    listener: TcpListener,
    host: Host,
    shared: Shared,
    tls: Option<TlsAcceptor>,
    latency: Duration,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, host, shared, latency).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, host, shared, latency).await;
                    }
                }
            }
        });
    }
}

async fn converse<S>(stream: S, host: Host, shared: Shared, latency: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { exchange(request, host, shared, latency).await }
    });
    // An error here is a client that went away, or a cut that was asked for.
    let _ =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn exchange(
    request: Request<Incoming>,
    host: Host,
    shared: Shared,
    latency: Duration,
) -> Result<Response<Flow>, Severed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Severed)?.to_bytes().to_vec();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let target = head.uri.path_and_query().map_or("/", |it| it.as_str());
    let call = Call::new(host.name, head.method.as_str(), target, headers, body);
    if !host.observed {
        return Ok(response((host.answer)(&mut shared.lock(), &call)));
    }
    let strike = shared.lock().faults.strike(&call);
    let wait = latency + Duration::from_millis(strike.latency_ms);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    match carry_out(&strike, &call, host, &shared) {
        Outcome::Reply(reply) => Ok(response(reply)),
        Outcome::Torn(reply) => Ok(torn(reply)),
        Outcome::Huge(bytes) => Ok(huge(bytes)),
        Outcome::Cut => Err(Severed),
        Outcome::Hang => std::future::pending().await,
    }
}

enum Outcome {
    Reply(Reply),
    Torn(Reply),
    Huge(u64),
    Cut,
    Hang,
}

/// Processes a request as far as its fault lets it, and notes it.
fn carry_out(strike: &Strike, call: &Call, host: Host, shared: &Shared) -> Outcome {
    let world = &mut *shared.lock();
    let at = moment::rfc3339(world.now());
    let word = strike.plan.word();
    match &strike.plan {
        Plan::Process => {
            let reply = (host.answer)(world, call);
            world.record.request(call, Some(&reply), word, at);
            Outcome::Reply(reply)
        }
        Plan::Answer(answer) => {
            let reply = answer.reply(world.now());
            world.record.request(call, Some(&reply), word, at);
            Outcome::Reply(reply)
        }
        Plan::ProcessThen(answer) => {
            let processed = (host.answer)(world, call);
            let mut reply = answer.reply(world.now());
            (reply.key_id, reply.authenticated) = (processed.key_id, processed.authenticated);
            reply.violation = processed.violation;
            world.record.request(call, Some(&reply), word, at);
            Outcome::Reply(reply)
        }
        Plan::Cut(Cut::Before) => {
            world.record.request(call, None, word, at);
            Outcome::Cut
        }
        Plan::Cut(cut) => {
            let reply = (host.answer)(world, call);
            world.record.request(call, Some(&reply), word, at);
            if *cut == Cut::MidBody { Outcome::Torn(reply) } else { Outcome::Cut }
        }
        Plan::Hang | Plan::Smtp(_) => {
            world.record.request(call, None, word, at);
            Outcome::Hang
        }
        Plan::Oversize(bytes) => {
            world.record.request(call, None, word, at);
            Outcome::Huge(*bytes)
        }
    }
}

fn response(reply: Reply) -> Response<Flow> {
    headed(reply.status, &reply.headers, Flow::whole(reply.body))
}

/// Announces the whole body and sends half of it.
fn torn(mut reply: Reply) -> Response<Flow> {
    let length = reply.body.len().to_string();
    reply.headers.push(("content-length".to_owned(), length));
    reply.body.truncate(reply.body.len() / 2);
    let flow = Flow { ending: Ending::Flush, ..Flow::whole(reply.body) };
    headed(reply.status, &reply.headers, flow)
}

/// Sends a JSON string that is longer than anyone should read.
fn huge(bytes: u64) -> Response<Flow> {
    let flow = Flow { filler: bytes, ..Flow::whole(b"{\"message\":\"".to_vec()) };
    headed(200, &[("content-type".to_owned(), "application/json".to_owned())], flow)
}

fn headed(status: u16, headers: &[(String, String)], body: Flow) -> Response<Flow> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(body).unwrap_or_else(|_| {
        Response::new(Flow::whole(b"the sandbox was told to send a malformed header".to_vec()))
    })
}

/// A response body: some bytes, then filler, then the end or a tear.
struct Flow {
    rest: Option<Bytes>,
    filler: u64,
    ending: Ending,
}

enum Ending {
    Proper,
    /// Lets what was written so far leave, then tears.
    Flush,
    Tear,
}

impl Flow {
    fn whole(body: Vec<u8>) -> Self {
        Self { rest: Some(Bytes::from(body)), filler: 0, ending: Ending::Proper }
    }
}

impl Body for Flow {
    type Data = Bytes;
    type Error = Severed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Severed>>> {
        static CHUNK: [u8; 16 * 1024] = [b'x'; 16 * 1024];
        if let Some(rest) = self.rest.take().filter(|it| !it.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        if self.filler > 0 {
            let length = self.filler.min(CHUNK.len() as u64);
            self.filler -= length;
            let length = usize::try_from(length).unwrap_or_default();
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&CHUNK[..length])))));
        }
        match self.ending {
            Ending::Proper => Poll::Ready(None),
            Ending::Flush => {
                self.ending = Ending::Tear;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ending::Tear => Poll::Ready(Some(Err(Severed))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.rest, self.filler, &self.ending) {
            (Some(rest), 0, Ending::Proper) => SizeHint::with_exact(rest.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
