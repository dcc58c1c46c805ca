//! Asks a resolver what is published: TXT, MX, CNAME. The only speaker of DNS.
//! "No such name", "no such records", "the resolver failed" and "it did not
//! answer" are different findings.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};

use crate::key::text::printable;

/// How long one try may take, and the whole of one question.
const ONE_TRY: Duration = Duration::from_secs(2);
const ONE_QUESTION: Duration = Duration::from_secs(8);

/// The types of record that senders of mail publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    Txt,
    Mx,
    Cname,
}

impl RecordKind {
    /// Returns the type with this name (`TXT`), where it can be asked for.
    pub fn named(word: &str) -> Option<Self> {
        match word.to_ascii_uppercase().as_str() {
            "TXT" => Some(Self::Txt),
            "MX" => Some(Self::Mx),
            "CNAME" => Some(Self::Cname),
            _ => None,
        }
    }

    fn wire(self) -> RecordType {
        match self {
            Self::Txt => RecordType::TXT,
            Self::Mx => RecordType::MX,
            Self::Cname => RecordType::CNAME,
        }
    }
}

/// What was found under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Texts of the records: a TXT's strings joined, an MX as `10 host`, names
    /// without the last dot.
    Records(Vec<String>),
    /// The name is there, but no record of this type.
    NoRecords,
    /// NXDOMAIN.
    NoSuchName,
    /// The resolver answered with an error (SERVFAIL, REFUSED), or could not
    /// be reached; in words.
    Failed(String),
    TimedOut,
}

/// A resolver, by address or as this machine is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolver {
    At(SocketAddr),
    OfSystem,
}

impl Resolver {
    /// Asks several questions at the same time; the answers are in their order.
    pub fn ask(self, questions: &[(String, RecordKind)], deadline: Instant) -> Vec<Found> {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return vec![Found::Failed(error.to_string()); questions.len()],
        };
        runtime.block_on(async {
            let resolver = match self.open() {
                Ok(resolver) => resolver,
                Err(error) => return vec![Found::Failed(said(&error)); questions.len()],
            };
            let limit = deadline.saturating_duration_since(Instant::now()).min(ONE_QUESTION);
            let running: Vec<_> = questions
                .iter()
                .map(|(name, kind)| {
                    // The last dot keeps the search domains of this machine out.
                    let name = format!("{}.", name.trim_end_matches('.'));
                    tokio::spawn(one(resolver.clone(), name, *kind, limit))
                })
                .collect();
            let mut answers = Vec::with_capacity(running.len());
            for task in running {
                answers.push(task.await.unwrap_or_else(|error| Found::Failed(error.to_string())));
            }
            answers
        })
    }

    fn open(self) -> Result<TokioResolver, NetError> {
        let mut builder: ResolverBuilder<TokioRuntimeProvider> = match self {
            Self::OfSystem => TokioResolver::builder_tokio()?,
            Self::At(address) => {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                for connection in &mut server.connections {
                    connection.port = address.port();
                }
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.timeout = ONE_TRY;
        options.attempts = 1;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        builder.build()
    }
}

async fn one(resolver: TokioResolver, name: String, kind: RecordKind, limit: Duration) -> Found {
    match tokio::time::timeout(limit, resolver.lookup(name, kind.wire())).await {
        Err(_) | Ok(Err(NetError::Timeout)) => Found::TimedOut,
        Ok(Err(error)) if error.is_nx_domain() => Found::NoSuchName,
        Ok(Err(error)) if error.is_no_records_found() => Found::NoRecords,
        Ok(Err(error)) => Found::Failed(said(&error)),
        Ok(Ok(lookup)) => {
            let wanted = lookup.answers().iter().filter(|it| it.record_type() == kind.wire());
            let texts: Vec<String> = wanted.filter_map(|it| text(&it.data)).collect();
            if texts.is_empty() { Found::NoRecords } else { Found::Records(texts) }
        }
    }
}

fn text(data: &RData) -> Option<String> {
    match data {
        RData::TXT(txt) => {
            let bytes: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
            Some(printable(&String::from_utf8_lossy(&bytes), 2_000))
        }
        RData::MX(mx) => Some(format!("{} {}", mx.preference, host(&mx.exchange.to_utf8()))),
        RData::CNAME(alias) => Some(host(&alias.0.to_utf8())),
        _ => None,
    }
}

fn host(name: &str) -> String {
    printable(name.trim_end_matches('.'), 255)
}

fn said(error: &NetError) -> String {
    printable(&error.to_string(), 160)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_that_is_not_there_is_no_missing_record() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let questions = [("mg.acme.example".to_owned(), RecordKind::Txt)];
        // It takes the question and never answers; nothing listens for TCP.
        let soon = Instant::now() + Duration::from_millis(300);
        let found = Resolver::At(address).ask(&questions, soon);
        assert!(matches!(found.as_slice(), [Found::TimedOut | Found::Failed(_)]), "{found:?}");
        assert_eq!(RecordKind::named("cname"), Some(RecordKind::Cname));
        assert_eq!(RecordKind::named("A"), None);
    }
}
