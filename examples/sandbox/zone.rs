//! What the DNS server knows: the records vendors' domains have published, and
//! overrides that go before them.

use serde::Deserialize;
use serde_json::Value;

use crate::vendors;
use crate::world::World;

/// A record; `value` is in the form of a zone file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub kind: String,
    pub value: String,
}

/// The answer for one name and type, as the control API sets it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    values: Vec<String>,
    /// `NXDOMAIN`, `SERVFAIL`, `REFUSED`; absent: `NOERROR`.
    rcode: Option<String>,
}

/// The overrides.
#[derive(Default)]
pub struct Zone {
    overrides: Vec<Override>,
}

/// What is known of a name.
pub enum Found {
    /// Records of the type, or the alias in their place; none is an answer too.
    Records(Vec<Resource>),
    NoSuchName,
    Failure(String),
}

impl Zone {
    /// Sets the answer for a name and type.
    pub fn set(&mut self, posted: Value) -> Result<(), String> {
        let mut set: Override = serde_json::from_value(posted).map_err(|error| error.to_string())?;
        set.name = normal(&set.name);
        set.kind = set.kind.to_ascii_uppercase();
        if !["A", "TXT", "MX", "CNAME", "NS"].contains(&set.kind.as_str()) {
            return Err(format!("type {} is not served", set.kind));
        }
        if let Some(rcode) = &set.rcode
            && !["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"].contains(&rcode.as_str())
        {
            return Err(format!("rcode {rcode} is not served"));
        }
        self.overrides.retain(|it| (&it.name, &it.kind) != (&set.name, &set.kind));
        self.overrides.push(set);
        Ok(())
    }
}

/// Looks up a name and type.
pub fn find(world: &World, name: &str, kind: &str) -> Found {
    let name = normal(name);
    let overrides = || world.zone.overrides.iter().filter(|it| it.name == name);
    if let Some(set) = overrides().find(|it| it.kind == kind) {
        match set.rcode.as_deref() {
            Some("NXDOMAIN") => return Found::NoSuchName,
            Some(rcode) if rcode != "NOERROR" => return Found::Failure(rcode.to_owned()),
            _ => {}
        }
        return Found::Records(resources(set).collect());
    }
    let overridden: Vec<&str> = overrides().map(|it| it.kind.as_str()).collect();
    let published = vendors::ZONES.iter().flat_map(|records| records(world, &name));
    let mut all: Vec<Resource> = published.filter(|it| !overridden.contains(&it.kind.as_str())).collect();
    all.extend(overrides().filter(|it| it.rcode.is_none()).flat_map(resources));
    if all.is_empty() {
        return if overridden.is_empty() { Found::NoSuchName } else { Found::Records(all) };
    }
    let alias = all.iter().any(|it| it.kind == "CNAME");
    all.retain(|it| it.kind == kind || (alias && it.kind == "CNAME"));
    Found::Records(all)
}

fn resources(set: &Override) -> impl Iterator<Item = Resource> {
    set.values.iter().map(|value| Resource { kind: set.kind.clone(), value: value.clone() })
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
