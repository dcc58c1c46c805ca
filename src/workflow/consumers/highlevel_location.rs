//! Pushes a Mailgun key into the settings of a HighLevel location: read, put,
//! read again, every field compared. HighLevel does not document whether a put
//! leaves all else alone, and never tells the key back.

use std::path::Path;

use crate::context::Context;
use crate::key::ProviderId;
use crate::key::text::printable;
use crate::provider::{MailgunPush, Trouble};
use crate::workflow::consumers::handover::{Failed, HandedOver, Handover};
use crate::workflow::consumers::push_proof::Prover;
use crate::workflow::consumers::saved_location::SavedLocation;
use crate::workflow::consumers::target::{Target, target};
use crate::workflow::managing_key::Keyed;
use crate::{checkpoint, provider};

/// Pushes, compares and proves.
pub fn push(
    context: &Context,
    handover: &Handover<'_>,
    prover: &mut Prover<'_>,
) -> Result<HandedOver, Failed> {
    let target = write(context, handover)?;
    let proof = prover.prove(handover, &target)?;
    let detail = format!("HighLevel took it for {} with {}", target.location, target.domain);
    Ok(HandedOver { detail, proof: Some(proof) })
}

fn write(context: &Context, handover: &Handover<'_>) -> Result<Target, Failed> {
    let target = target(handover.inventory, handover.key, handover.consumer)?;
    let plain = |error: anyhow::Error| Failed::new(handover.secret.scrub(&format!("{error:#}")));
    let token = Keyed::read(context, handover.inventory, &target.token).map_err(plain)?;
    let Some(locations) = provider::provider(ProviderId::Highlevel).locations() else {
        return Err(Failed::new("HighLevel's locations cannot be written by this build"));
    };
    let net = context.net().map_err(plain)?;
    let credential = token.credential();
    let read = || {
        let found =
            locations.read(net.by(&credential), &target.location_id).map_err(|it| told(handover, it))?;
        found.ok_or_else(|| Failed::new(format!("HighLevel has no location `{}`", target.location_id)))
    };
    let before = read()?;
    let saved = SavedLocation::of(context, handover, &target);
    let company =
        target.company_id.as_deref().or(before.location.company_id.as_deref()).ok_or_else(|| {
            Failed::new("the HighLevel id of the agency is not recorded")
                .hint(format!("`keyctl scope set {} --highlevel-id COMPANY_ID`", target.location.agency))
        })?;
    let push =
        MailgunPush { location: &target.location_id, company, key: handover.secret, domain: &target.domain };
    // What a write changes is seen against the first look: what an interrupted
    // try may have changed must not become the measure of the next.
    let first = saved.begin(context, &before).map_err(plain)?;
    checkpoint::pass("location-put");
    handover.must_be_wanted()?;
    let put = locations.put_mailgun(net.by(&credential), &push);
    checkpoint::pass("location-put");
    if let Err(trouble) = put {
        if !trouble.outcome_unknown {
            saved.not_written(context);
            return Err(told(handover, trouble));
        }
        let why = format!("whether HighLevel took it for {} is not known", target.location);
        return Err(told(handover, Trouble { detail: format!("{why}: {}", trouble.detail), ..trouble }));
    }
    let after = read().map_err(|failed| Failed {
        why: format!(
            "HighLevel took it for {}, but what else changed there could not be seen: {}",
            target.location, failed.why
        ),
        ..failed
    })?;
    let changes = first.changes(&after);
    if changes.is_empty() {
        saved.forget(context);
        return Ok(target);
    }
    let fields: Vec<String> = changes.iter().map(|it| printable(&it.field, 120)).collect();
    let kept = saved.damaged(context, &fields).map_err(plain)?;
    Err(damaged(handover, &target, &fields, &kept))
}

/// Says which other settings a write changed, and where they are kept.
fn damaged(handover: &Handover<'_>, target: &Target, fields: &[String], kept: &Path) -> Failed {
    let failed = Failed::new(format!(
        "HighLevel took it for {}, but other settings of the location changed, too: {}",
        target.location,
        fields.join(", ")
    ));
    let hint = format!(
        "no further location is written until a person names `{}`; the settings as they were: `{}`",
        handover.key,
        kept.display()
    );
    Failed { damaged: true, ..failed.hint(hint) }
}

fn told(handover: &Handover<'_>, trouble: Trouble) -> Failed {
    Failed { why: handover.secret.scrub(&trouble.detail), hint: trouble.hint, damaged: false }
}
