//! The only asker of DNS: TXT, MX and CNAME by the system's resolver or the
//! one that `KEYCTL_DNS` names. "No such name", "no such record" and "could not
//! ask" are different answers.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};

/// How long one question may take, each of two tries.
const LIMIT: Duration = Duration::from_secs(3);

/// What a name server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The records' values: TXT joined to one text, MX as `10 host`, names
    /// without the last dot.
    Found(Vec<String>),
    NoSuchName,
    NoSuchRecord,
    /// It could not be asked, or did not answer: why.
    Failed(String),
}

/// Asks one resolver.
pub struct Resolver {
    resolver: TokioResolver,
    runtime: tokio::runtime::Runtime,
}

impl Resolver {
    /// Opens the resolver at `address`, or the system's.
    ///
    /// # Errors
    /// When the system names no resolver.
    pub fn open(address: Option<SocketAddr>) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let mut builder = match address {
            Some(address) => {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                for connection in &mut server.connections {
                    connection.port = address.port();
                }
                let config = ResolverConfig::from_parts(None, vec![], vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
        };
        let options = builder.options_mut();
        options.timeout = LIMIT;
        options.attempts = 1;
        // What was just set right must be seen, and a hosts file is no DNS.
        options.cache_size = 0;
        let resolver = {
            let _inside = runtime.enter();
            builder.build().map_err(|error| error.to_string())?
        };
        Ok(Self { resolver, runtime })
    }

    /// Asks for the records of a type: `TXT`, `MX`, `CNAME`, `A`.
    pub fn ask(&self, name: &str, record_type: &str) -> Answer {
        let Ok(record_type) = record_type.parse::<RecordType>() else {
            return Answer::Failed(format!("`{record_type}` is no record type"));
        };
        // The dot keeps search domains out.
        let absolute = format!("{}.", name.trim_end_matches('.'));
        match self.runtime.block_on(self.resolver.lookup(absolute, record_type)) {
            Ok(lookup) => {
                let values: Vec<String> =
                    lookup.answers().iter().filter_map(|record| value(&record.data, record_type)).collect();
                if values.is_empty() { Answer::NoSuchRecord } else { Answer::Found(values) }
            }
            Err(error) if error.is_nx_domain() => Answer::NoSuchName,
            Err(error) if error.is_no_records_found() => Answer::NoSuchRecord,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

fn value(data: &RData, wanted: RecordType) -> Option<String> {
    let plain = |name: &dyn std::fmt::Display| name.to_string().trim_end_matches('.').to_owned();
    match data {
        RData::TXT(txt) if wanted == RecordType::TXT => {
            let parts = txt.txt_data.iter().map(|part| String::from_utf8_lossy(part));
            Some(parts.collect())
        }
        RData::MX(mx) if wanted == RecordType::MX => {
            Some(format!("{} {}", mx.preference, plain(&mx.exchange)))
        }
        RData::CNAME(name) if wanted == RecordType::CNAME => Some(plain(&name.0)),
        RData::A(address) if wanted == RecordType::A => Some(address.0.to_string()),
        _ => None,
    }
}
