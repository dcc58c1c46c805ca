//! The key that `--like` names: what it may do, as far as that can be told.

use crate::context::Context;
use crate::exit::Situation;
use crate::key::{KeyRef, KeyRefArg, Record};
use crate::provider;
use crate::provider::Model;
use crate::workflow::managing_key::{Keyed, Managed, Sought};
use crate::workflow::{key_permissions, managing_key};

/// A key that the new one is to be like.
pub struct Like {
    pub key: KeyRef,
    /// With all that it may do, where that is recorded or told.
    pub record: Record,
    /// What it was seen to have, where not all can be told.
    pub held: Vec<String>,
}

impl Like {
    /// Returns it as a console's guide wants it.
    pub fn model(&self) -> Model<'_> {
        Model {
            name: self.record.remote_name.as_deref(),
            last2: self.record.last2.as_deref(),
            held: &self.held,
        }
    }
}

/// Reads the record that `--like` names. What it may do is found out where
/// nothing else says so (`ask`): by the record, a list of keys, else by trying.
///
/// # Errors
/// Exit 2 for a key of another provider, exit 8 when there is none.
pub fn read(context: &Context, typed: &KeyRefArg, key: &KeyRef, ask: bool) -> anyhow::Result<Like> {
    let inventory = context.inventory()?;
    let like = context.complete(typed)?;
    if like.provider != key.provider {
        return Err(Situation::usage(format!(
            "`{like}` is a key of {}, not of {}",
            like.provider, key.provider
        ))
        .into());
    }
    let record = inventory.record(&like)?.clone();
    let mut like = Like { key: like, record, held: Vec::new() };
    let known = !like.record.permissions.is_empty() || like.record.role.is_some();
    if ask && !known && provider::provider(key.provider).permissions().is_some() {
        let keyed = Keyed::read(context, inventory, &like.key)?;
        find_out(context, &mut like, &keyed)?;
    }
    Ok(like)
}

fn find_out(context: &Context, like: &mut Like, keyed: &Keyed) -> anyhow::Result<()> {
    let provider = provider::provider(like.key.provider);
    let mut judgement = provider.check(&context.net()?, &keyed.credential());
    let told = match judgement.facts.permissions.take() {
        Some(names) => Some(names),
        None => listed(context, keyed)?,
    };
    like.record.role = judgement.facts.role.take();
    if let Some(names) = told {
        like.record.permissions = names;
    }
    if !like.record.permissions.is_empty() || like.record.role.is_some() {
        return Ok(());
    }
    let mut why = judgement.detail.clone();
    if judgement.accepted() && provider.clones() {
        context.restart_clock();
        match key_permissions::held(&context.net()?, like.key.provider, &keyed.credential(), &judgement.facts)
        {
            Ok(held) if held.whole => like.record.permissions = held.names,
            Ok(held) => like.held = held.names,
            Err(trouble) => why = trouble.detail,
        }
        context.restart_clock();
    }
    if like.record.permissions.is_empty() && like.held.is_empty() {
        context.operator.warning(format!("what `{}` may do could not be found out: {why}", like.key));
    }
    Ok(())
}

/// Returns what the list of a managing key tells of it.
fn listed(context: &Context, keyed: &Keyed) -> anyhow::Result<Option<Vec<String>>> {
    if !provider::provider(keyed.key.provider).clones() {
        return Ok(None);
    }
    let managed = Managed { key: &keyed.key, kind: keyed.record.kind };
    let Ok(found) = managing_key::find(context, context.inventory()?, managed, None) else { return Ok(None) };
    let Keyed { record, secret, .. } = keyed;
    let sought = Sought { record, remote_id: record.remote_id.as_deref(), secret: Some(secret) };
    Ok(managing_key::row(context, &found.keyed, sought)?.and_then(|it| it.permissions))
}
