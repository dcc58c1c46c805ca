//! What `add` tells: whether the key was kept, where, and what it is worth.

use serde::Serialize;
use serde_json::Value;

use crate::cli::shared::key_row::{expires, verdict_cell};
use crate::clock::rfc3339;
use crate::key::{Cause, Fingerprint, KeyRef, Kind, ProviderId, Reason, Record, Region, Scope, Verdict};
use crate::output::{Page, Report, Tone};
use crate::workflow::add_key::Added;

/// A key that came in, its fields in their order in JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub key: KeyRef,
    pub provider: ProviderId,
    pub kind: Kind,
    pub scope: Scope,
    pub saved: bool,
    pub verdict: Option<Verdict>,
    pub reason: Option<Reason>,
    pub reasons: Vec<Reason>,
    pub causes: Vec<Cause>,
    pub missing: Vec<String>,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub store: String,
    pub fingerprint: Option<Fingerprint>,
    pub last2: Option<String>,
    pub identity: Option<String>,
    pub role: Option<String>,
    pub remote_id: Option<String>,
    pub region: Option<Region>,
    pub domain: Option<String>,
    pub login: Option<String>,
    pub created: Option<String>,
    pub expires: Option<String>,
    pub permissions: Vec<String>,
    pub consumers: Vec<String>,
    pub replaced: bool,
    pub same_secret: Vec<KeyRef>,
    pub stripped: Vec<String>,
}

impl Line {
    pub fn of(added: &Added) -> Self {
        let Added { key, record, judgement, .. } = added;
        let judgement = judgement.as_ref();
        let Record { fingerprint, last2, identity, role, remote_id, region, login, .. } = record.clone();
        Self {
            key: key.clone(),
            provider: key.provider,
            kind: record.kind,
            scope: key.scope.clone(),
            saved: added.saved,
            verdict: judgement.map(|it| it.verdict()),
            reason: judgement.and_then(|it| it.reason()),
            reasons: judgement.map(|it| it.reasons().to_vec()).unwrap_or_default(),
            causes: judgement.map(|it| it.causes.clone()).unwrap_or_default(),
            missing: judgement.map(|it| it.missing.clone()).unwrap_or_default(),
            detail: judgement.map(|it| it.detail.clone()),
            hint: judgement.and_then(|it| it.hint.clone()),
            store: added.store.clone(),
            fingerprint,
            last2,
            identity,
            role,
            remote_id,
            region,
            domain: record.domain.as_ref().map(ToString::to_string),
            login,
            created: record.created.map(rfc3339),
            expires: expires(record.expires),
            permissions: record.permissions.clone(),
            consumers: record.consumers.iter().map(|it| it.name.clone()).collect(),
            replaced: added.replaced,
            same_secret: added.same_secret.clone(),
            stripped: added.stripped.clone(),
        }
    }

    /// Writes what a person reads.
    pub fn human(&self, page: &mut Page) {
        let shown = self.last2.as_ref().map(|it| format!(" …{it}")).unwrap_or_default();
        let what = format!("{} ({}{shown})", self.key, self.kind);
        match (self.saved, self.replaced) {
            (true, false) => page.line(Tone::Strong, format!("kept {what} in the {} store", self.store)),
            (true, true) => page.line(Tone::Strong, format!("replaced {what} in the {} store", self.store)),
            (false, _) => page.line(Tone::Strong, format!("not kept: {what}")),
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_default().into();
        page.fields(&[
            ("verdict", self.verdict.map(|it| verdict_cell(Some(it.as_str()))).unwrap_or_default()),
            ("reason", self.reason.map(|it| it.as_str().to_owned()).unwrap_or_default().into()),
            ("detail", text(&self.detail)),
            ("causes", self.causes.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ").into()),
            ("hint", text(&self.hint)),
            ("identity", text(&self.identity)),
            ("role", text(&self.role)),
            ("domain", text(&self.domain)),
            ("login", text(&self.login)),
            ("expires", text(&self.expires)),
        ]);
    }
}

/// The report of one key.
pub struct AddReport {
    pub added: Added,
}

impl Report for AddReport {
    fn command(&self) -> &'static str {
        "add"
    }

    fn data(&self) -> Value {
        serde_json::json!(Line::of(&self.added))
    }

    fn human(&self, page: &mut Page) {
        Line::of(&self.added).human(page);
    }
}
