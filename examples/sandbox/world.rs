//! Everything the sandbox knows, behind one lock. Each vendor owns one field
//! and its own types; what they share stands here: the time, the address the
//! caller seems to come from, the faults, the diary.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::brevo::Brevo;
use crate::faults::Faults;
use crate::highlevel::Highlevel;
use crate::klaviyo::Klaviyo;
use crate::mailgun::Mailgun;
use crate::record::Record;
use crate::zone::Zone;

/// The state of the sandbox.
pub struct World {
    /// How far the sandbox's time is ahead of the machine's.
    pub ahead: SignedDuration,
    /// What an IP allowlist is compared with.
    pub caller_ip: IpAddr,
    pub faults: Faults,
    pub record: Record,
    pub zone: Zone,
    pub mailgun: Mailgun,
    pub brevo: Brevo,
    pub klaviyo: Klaviyo,
    pub highlevel: Highlevel,
}

impl World {
    pub fn new() -> Self {
        Self {
            ahead: SignedDuration::ZERO,
            caller_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            faults: Faults::default(),
            record: Record::default(),
            zone: Zone::default(),
            mailgun: Mailgun::default(),
            brevo: Brevo::default(),
            klaviyo: Klaviyo::default(),
            highlevel: Highlevel::default(),
        }
    }

    /// Returns the sandbox's idea of the time.
    pub fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.ahead).unwrap_or(Timestamp::MAX)
    }
}

/// The world, shared by all listeners.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// Takes the lock. A panic in another request does not end the sandbox.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
