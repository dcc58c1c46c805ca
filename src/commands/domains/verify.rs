//! `domains --verify`: asks the provider to look at DNS again. A change there:
//! Mailgun puts the domain into its unverified state until the check is done.

use serde_json::Value;

use super::readers::Readers;
use super::records;
use super::{Args, situation};
use crate::context::Context;
use crate::domain::SendingDomain;
use crate::exit::{Exit, Situation};
use crate::key::{Domain, KeyRef};
use crate::output::{Answer, Page, Report, Table, Tone};

/// Verifies one domain.
///
/// # Errors
/// Exit 9 without consent, exit 8 when no key sees the domain.
pub fn run(domain: &Domain, _args: &Args, readers: &Readers, context: &Context) -> anyhow::Result<Exit> {
    let found = readers.list(context)?;
    let seen = found.iter().find_map(|one| {
        let held = one.listing.domains.iter().find(|it| it.name == *domain)?;
        Some((one.reader, held))
    });
    let Some((reader, held)) = seen else {
        if let Some((_, trouble)) = found.iter().flat_map(|it| &it.listing.troubles).next() {
            return Err(situation("the domains could not be read", trouble).into());
        }
        return Err(Situation::missing("no-such-domain", format!("`{domain}` is not in the account"))
            .hint("`keyctl domains --all` lists what is")
            .into());
    };
    let question = format!(
        "ask {} to check the DNS of {domain} again? A change there: it is unverified until the check is done",
        reader.provider
    );
    match context.console.confirm(&question) {
        Answer::Yes => {}
        Answer::No => return Err(Situation::refused("not-confirmed", "nothing was asked for").into()),
        Answer::Nobody => {
            return Err(Situation::refused(
                "needs-yes",
                "a verification changes the domain's state at the provider",
            )
            .hint("consent with `--yes`")
            .into());
        }
    }
    let facet = reader
        .facet()
        .ok_or_else(|| Situation::usage(format!("`{}` cannot verify domains", reader.name())))?;
    let verified = facet
        .verify(&context.net()?, &reader.credential(), domain, held.region)
        .map_err(|trouble| situation("the verification was not done", &trouble))?;
    let exit = if verified.verified { Exit::Done } else { Exit::Rejected };
    context.console.report(&VerifyReport { key: reader.key.clone(), domain: verified })?;
    Ok(exit)
}

struct VerifyReport {
    key: Option<KeyRef>,
    domain: SendingDomain,
}

impl Report for VerifyReport {
    fn command(&self) -> &'static str {
        "domains"
    }

    fn data(&self) -> Value {
        let records: Vec<Value> = self.domain.records.iter().flatten().map(records::json).collect();
        serde_json::json!({
            "domain": self.domain.name, "key": self.key, "region": self.domain.region, "state": self.domain.state,
            "verified": self.domain.verified, "records": records,
        })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("records")
    }

    fn human(&self, page: &mut Page) {
        let tone = if self.domain.verified { Tone::Good } else { Tone::Warn };
        page.pieces(&[
            (Tone::Strong, self.domain.name.as_str()),
            (Tone::Plain, "  "),
            (tone, &self.domain.state),
        ]);
        let mut table = Table::new(&["type", "name", "state", "expected"]);
        for record in self.domain.records.iter().flatten() {
            table.row(records::row(record));
        }
        page.table(&table);
    }
}
