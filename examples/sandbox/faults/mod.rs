//! What can be made to go wrong: which request is hit, how often, and how.
//! The control API's description (`control.rs`) lists the actions.

mod action;

use serde::Deserialize;
use serde_json::{Value, json};

pub use action::{Cut, Plan, SmtpMoment, SmtpPlan};

use crate::call::Call;

/// A fault as it is posted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    /// A listener's name, or `*` for every vendor's.
    host: String,
    method: Option<String>,
    path_prefix: Option<String>,
    #[serde(default)]
    after: u64,
    times: Option<u64>,
    action: action::Wire,
}

/// A fault that lies in wait.
struct Fault {
    host: String,
    method: Option<String>,
    path_prefix: Option<String>,
    /// Matching requests still let through.
    after: u64,
    /// How often it will still strike; `None`: for ever.
    times: Option<u64>,
    latency_ms: u64,
    plan: Plan,
    posted: Value,
}

/// What strikes one request.
pub struct Strike {
    pub latency_ms: u64,
    pub plan: Plan,
}

/// All faults, in the order posted; the first that matches strikes.
#[derive(Default)]
pub struct Faults {
    list: Vec<Fault>,
}

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, posted: Value) -> Result<(), String> {
        let wire: Wire = serde_json::from_value(posted.clone()).map_err(|error| error.to_string())?;
        let (latency_ms, plan) = wire.action.plan()?;
        let Wire { host, method, path_prefix, after, times, .. } = wire;
        self.list.push(Fault { host, method, path_prefix, after, times, latency_ms, plan, posted });
        Ok(())
    }

    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Returns the faults as posted, with what is left of them.
    pub fn listing(&self) -> Value {
        let shown = |it: &Fault| json!({"fault": it.posted, "after_left": it.after, "times_left": it.times});
        Value::from(self.list.iter().map(shown).collect::<Vec<_>>())
    }

    /// Returns what strikes this request, and counts it.
    pub fn strike(&mut self, call: &Call) -> Strike {
        self.first(|fault| {
            fault.host_is(call.host)
                && !matches!(fault.plan, Plan::Smtp(_))
                && fault.method.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(&call.method))
                && fault.path_prefix.as_ref().is_none_or(|it| call.path.starts_with(it.as_str()))
        })
    }

    /// Returns what strikes a new SMTP session of this relay, and counts it.
    pub fn strike_session(&mut self, relay: &str) -> Strike {
        self.first(|fault| fault.host_is(relay) && matches!(fault.plan, Plan::Smtp(_) | Plan::Process))
    }

    fn first(&mut self, hits: impl Fn(&Fault) -> bool) -> Strike {
        let mut latency_ms = 0;
        for fault in self.list.iter_mut().filter(|fault| hits(fault)) {
            if fault.after > 0 {
                fault.after -= 1;
                continue;
            }
            match &mut fault.times {
                Some(0) => continue,
                Some(left) => *left -= 1,
                None => {}
            }
            latency_ms += fault.latency_ms;
            // A fault that only delays lets others strike as well.
            if !matches!(fault.plan, Plan::Process) {
                return Strike { latency_ms, plan: fault.plan.clone() };
            }
        }
        Strike { latency_ms, plan: Plan::Process }
    }
}

impl Fault {
    fn host_is(&self, host: &str) -> bool {
        self.host == "*" || self.host == host
    }
}
