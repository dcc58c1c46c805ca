//! `/v2/ip_whitelist`: the addresses that may use an account's keys.

use std::net::IpAddr;

use serde_json::json;

use super::Visit;
use super::model::Allowed;
use crate::call::Reply;

/// `GET`
pub fn list(visit: &mut Visit) -> Reply {
    Reply::json(200, &json!({"addresses": visit.account().allowlist}))
}

/// `POST`
pub fn add(visit: &mut Visit) -> Reply {
    let (address, description) = fields(visit);
    if parse(&address).is_none() {
        return bad("Invalid IP Address or CIDR");
    }
    let list = &mut visit.account().allowlist;
    list.retain(|it| it.ip_address != address);
    list.push(Allowed { ip_address: address, description });
    self::list(visit)
}

/// `PUT`: only the description can be changed.
pub fn describe(visit: &mut Visit) -> Reply {
    let (address, description) = fields(visit);
    match visit.account().allowlist.iter_mut().find(|it| it.ip_address == address) {
        None => bad("IP not found"),
        Some(entry) => {
            entry.description = description;
            list(visit)
        }
    }
}

/// `DELETE`
pub fn remove(visit: &mut Visit) -> Reply {
    let address = visit.call.query("address").unwrap_or_default().to_owned();
    if address.is_empty() {
        return bad("IP address can not be blank");
    }
    visit.account().allowlist.retain(|it| it.ip_address != address);
    list(visit)
}

/// Whether an address or network, as written in the list, has an address in it.
pub fn covers(entry: &str, caller: IpAddr) -> bool {
    let Some((network, bits)) = parse(entry) else { return false };
    let shared = |network: u128, caller: u128, width: u32| {
        let rest = width - bits.min(width);
        rest >= 128 || network >> rest == caller >> rest
    };
    match (network, caller) {
        (IpAddr::V4(network), IpAddr::V4(caller)) => {
            shared(u32::from(network).into(), u32::from(caller).into(), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(caller)) => shared(network.into(), caller.into(), 128),
        _ => false,
    }
}

fn parse(entry: &str) -> Option<(IpAddr, u32)> {
    match entry.split_once('/') {
        None => Some((entry.parse().ok()?, 128)),
        Some((address, bits)) => {
            let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?);
            let width = if address.is_ipv4() { 32 } else { 128 };
            (bits <= width).then_some((address, bits))
        }
    }
}

fn fields(visit: &Visit) -> (String, String) {
    let field = |name: &str| visit.call.form.filled(name).unwrap_or_default().to_owned();
    (field("address"), field("description"))
}

fn bad(message: &str) -> Reply {
    Reply::json(400, &json!({"message": message}))
}
