//! `keyctl doctor`: this machine's set-up, one check a line. Opens the store,
//! asks no provider.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::commands::CommandContext;
use crate::context::env::DOCUMENTED;
use crate::exit::Exit;
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::state::ALLOWLISTS;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Mend what can be mended without asking: file modes
    #[arg(long)]
    fix: bool,
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Finding {
    Pass,
    Warn,
    Fail,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
struct Check {
    id: &'static str,
    result: Finding,
    found: String,
    fix: Option<String>,
}

impl Check {
    fn pass(id: &'static str, found: impl Into<String>) -> Self {
        Self { id, result: Finding::Pass, found: found.into(), fix: None }
    }

    fn problem(id: &'static str, result: Finding, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { id, result, found: found.into(), fix: Some(fix.into()) }
    }
}

/// Runs every check.
///
/// # Errors
/// When stdout cannot be written; findings are exit 3, an unusable store exit 7.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let mut checks = vec![inventory(context), inventory_mode(context, args.fix), store(context)];
    checks.extend([
        programs(context),
        overrides(context),
        proxy(context),
        state(context),
        allowlists(context),
    ]);
    checks.push(rotations(context));
    let failed = |id: Option<&str>| {
        checks.iter().any(|it| it.result == Finding::Fail && id.is_none_or(|id| it.id == id))
    };
    let exit = match (failed(Some("inventory")), failed(Some("store")), failed(None)) {
        (true, ..) => Exit::Usage,
        (_, true, _) => Exit::Store,
        (.., true) => Exit::Rejected,
        (.., false) => Exit::Done,
    };
    context.console.report(&DoctorReport { checks })?;
    Ok(exit)
}

fn inventory(context: &CommandContext) -> Check {
    let path = context.inventory_file.path().display();
    match context.inventory() {
        Ok(_) if !context.inventory_file.exists() => {
            Check::pass("inventory", format!("none yet; the first `add` makes `{path}`"))
        }
        Ok(held) => Check::pass(
            "inventory",
            format!("`{path}`: {} keys, {} scopes", held.keys.len(), held.scopes().count()),
        ),
        Err(error) => {
            Check::problem("inventory", Finding::Fail, format!("{error:#}"), "correct that line of the file")
        }
    }
}

fn inventory_mode(context: &CommandContext, fix: bool) -> Check {
    let path = context.inventory_file.path();
    if !context.inventory_file.readable_by_others() {
        return Check::pass("inventory-mode", "only you can read it");
    }
    if fix && make_private(path) {
        return Check::pass("inventory-mode", "mended: only you can read it now");
    }
    Check::problem(
        "inventory-mode",
        Finding::Warn,
        "others on this machine can read the inventory: no secrets, but names and domains",
        format!("`chmod 600 {}`, or `keyctl doctor --fix`", path.display()),
    )
}

#[cfg(unix)]
fn make_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).is_ok()
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> bool {
    false
}

fn store(context: &CommandContext) -> Check {
    let held = context.inventory().ok().and_then(|it| it.store.clone());
    let name = context.options.store.clone().or(held).unwrap_or_else(|| crate::store::DEFAULT.to_owned());
    let store = match context.store(&name) {
        Ok(store) => store,
        Err(error) => {
            return Check::problem("store", Finding::Fail, format!("{error:#}"), "`keyctl store status`");
        }
    };
    match store.check_readable() {
        Ok(()) => Check::pass("store", format!("{name}: {}", store.describe().location)),
        Err(error) => {
            let fix =
                error.remedy.clone().unwrap_or_else(|| "`keyctl store status` shows the others".to_owned());
            Check::problem("store", Finding::Fail, error.message, fix)
        }
    }
}

/// Which programs called keyctl are on the path, and which one is found first:
/// Debian's keyutils has another one.
fn programs(context: &CommandContext) -> Check {
    let path = context.environment.get("PATH").unwrap_or_default();
    let found: Vec<PathBuf> =
        std::env::split_paths(&path).map(|it| it.join("keyctl")).filter(|it| it.is_file()).collect();
    let own = std::env::current_exe().and_then(std::fs::canonicalize).ok();
    let is_own = |it: &PathBuf| std::fs::canonicalize(it).ok() == own;
    let others: Vec<String> =
        found.iter().filter(|it| !is_own(it)).map(|it| format!("`{}`", it.display())).collect();
    match found.first() {
        None => Check::problem(
            "path",
            Finding::Warn,
            "no keyctl is on the PATH",
            "add the folder of this program to PATH",
        ),
        Some(first) if is_own(first) && others.is_empty() => {
            Check::pass("path", format!("`{}`", first.display()))
        }
        Some(first) if is_own(first) => Check::problem(
            "path",
            Finding::Warn,
            format!("this program stands before another keyctl: {}", others.join(", ")),
            "scripts that mean the kernel keyring must call /usr/bin/keyctl",
        ),
        Some(first) => Check::problem(
            "path",
            Finding::Warn,
            format!("`keyctl` on the PATH is `{}`, another program", first.display()),
            "put this program's folder first in PATH, or call it by its whole path; then `hash -r`",
        ),
    }
}

fn overrides(context: &CommandContext) -> Check {
    let hosts = |name: &&str| name.ends_with("_URL") || name.ends_with("_SMTP") || *name == "KEYCTL_DNS";
    let names = DOCUMENTED.iter().map(|(name, _)| *name).filter(hosts);
    let set: Vec<&str> = names.filter(|name| context.environment.get(name).is_some()).collect();
    if set.is_empty() {
        return Check::pass("hosts", "the vendors' own");
    }
    Check::problem(
        "hosts",
        Finding::Warn,
        format!("keys are sent elsewhere by {}", set.join(", ")),
        "unset them unless you mean it",
    )
}

fn proxy(context: &CommandContext) -> Check {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    match names.iter().find(|name| context.environment.get(name).is_some()) {
        None => Check::pass("proxy", "none"),
        Some(name) => Check::problem(
            "proxy",
            Finding::Warn,
            format!("requests go through the proxy in {name}; vendors see its address"),
            "allowlists must name the proxy's address; NO_PROXY makes exceptions",
        ),
    }
}

fn state(context: &CommandContext) -> Check {
    let folder = context.state.path().display().to_string();
    match context.state.update("doctor", |_: &mut Value| ()) {
        Ok(()) => {
            let _ = std::fs::remove_file(context.state.path().join("doctor.json"));
            Check::pass("state", format!("`{folder}`"))
        }
        Err(error) => {
            Check::problem("state", Finding::Fail, format!("{error:#}"), format!("make `{folder}` writable"))
        }
    }
}

fn allowlists(context: &CommandContext) -> Check {
    let saved: std::collections::BTreeMap<String, Value> = context.state.read(ALLOWLISTS);
    if saved.is_empty() {
        return Check::pass("allowlist", "none is relaxed");
    }
    Check::problem(
        "allowlist",
        Finding::Warn,
        format!("{} relaxed and not restored", saved.len()),
        "`keyctl allowlist KEYREF --restore`",
    )
}

fn rotations(context: &CommandContext) -> Check {
    let open = context.inventory().map_or(0, |it| it.rotations.len());
    if open == 0 {
        return Check::pass("rotations", "none under way");
    }
    Check::problem("rotations", Finding::Warn, format!("{open} under way"), "`keyctl rotate --status`")
}

struct DoctorReport {
    checks: Vec<Check>,
}

impl Report for DoctorReport {
    fn command(&self) -> &'static str {
        "doctor"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "checks": self.checks })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("checks")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["check", "result", "found"]);
        for check in &self.checks {
            let (word, tone) = match check.result {
                Finding::Pass => ("pass", Tone::Good),
                Finding::Warn => ("warn", Tone::Warn),
                Finding::Fail => ("fail", Tone::Bad),
            };
            table.row([check.id.into(), Cell::toned(word, tone), check.found.clone().into()]);
        }
        page.table(&table);
        for check in &self.checks {
            if let Some(fix) = &check.fix {
                page.paragraph(Tone::Dim, 0, &format!("{}: {fix}", check.id));
            }
        }
    }
}
