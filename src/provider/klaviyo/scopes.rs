//! Klaviyo's scopes: their one spelling, which call tells whether a key has
//! one, and what an operation needs. The data are two tables beside this file.

use std::sync::LazyLock;

use percent_encoding::percent_decode_str;

/// The call that tells whether a key has a scope.
#[derive(Debug, Clone)]
pub struct Probe {
    pub path: &'static str,
    pub query: Vec<(&'static str, &'static str)>,
    pub beta: bool,
    pub writes: bool,
    /// Scopes the call needs besides: a refusal proves nothing without them.
    pub besides: Vec<&'static str>,
}

/// One scope a key can have.
#[derive(Debug, Clone)]
pub struct Scope {
    pub name: &'static str,
    /// Of the stable API; the rest is beta or used by no operation.
    pub stable: bool,
    pub probe: Option<Probe>,
}

impl Scope {
    pub fn writes(&self) -> bool {
        self.name.ends_with(":write")
    }
}

struct Operation {
    method: &'static str,
    path: &'static str,
    scopes: Vec<&'static str>,
    /// Value of `include` → what it needs beyond.
    includes: Vec<(&'static str, Vec<&'static str>)>,
}

static SCOPES: LazyLock<Vec<Scope>> = LazyLock::new(|| rows(include_str!("probes.tsv")).map(scope).collect());
static OPERATIONS: LazyLock<Vec<Operation>> =
    LazyLock::new(|| rows(include_str!("scopes.tsv")).map(operation).collect());

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split('\t').collect())
}

fn list(text: &'static str, separator: char) -> Vec<&'static str> {
    text.split(separator).filter(|it| !it.is_empty()).collect()
}

fn scope(row: Vec<&'static str>) -> Scope {
    let cell = |at: usize| row.get(at).copied().unwrap_or_default();
    let probe = (!cell(3).is_empty()).then(|| Probe {
        path: cell(3),
        query: list(cell(4), '&').into_iter().filter_map(|pair| pair.split_once('=')).collect(),
        beta: cell(1) == "beta",
        writes: cell(2) == "POST",
        besides: list(cell(5), ','),
    });
    Scope { name: cell(0), stable: cell(1) == "ga", probe }
}

fn operation(row: Vec<&'static str>) -> Operation {
    let cell = |at: usize| row.get(at).copied().unwrap_or_default();
    let include = |text: &'static str| {
        let (name, extra) = text.split_once('=').unwrap_or((text, ""));
        (name, list(extra, '+'))
    };
    Operation {
        method: cell(0),
        path: cell(1),
        scopes: list(cell(2), ','),
        includes: list(cell(3), ';').into_iter().map(include).collect(),
    }
}

/// Returns every scope, in alphabetical order.
pub fn all() -> &'static [Scope] {
    &SCOPES
}

pub fn find(name: &str) -> Option<&'static Scope> {
    all().iter().find(|it| it.name == name)
}

/// Old names of Klaviyo's own documents, and what its machine-translated
/// German help says.
const ALIASES: &[(&str, &str)] = &[
    ("account", "accounts"),
    ("abonnement", "subscriptions"),
    ("abonnements", "subscriptions"),
    ("anmeldeformulare", "forms"),
    ("bilder", "images"),
    ("campaign", "campaigns"),
    ("catalog", "catalogs"),
    ("coupon", "coupons"),
    ("coupon-code", "coupon-codes"),
    ("datenschutz", "data-privacy"),
    ("event", "events"),
    ("flow", "flows"),
    ("form", "forms"),
    ("formulare", "forms"),
    ("gutscheine", "coupons"),
    ("image", "images"),
    ("kampagne", "campaigns"),
    ("kampagnen", "campaigns"),
    ("katalog", "catalogs"),
    ("kataloge", "catalogs"),
    ("konten", "accounts"),
    ("konto", "accounts"),
    ("list", "lists"),
    ("liste", "lists"),
    ("listen", "lists"),
    ("metric", "metrics"),
    ("metrik", "metrics"),
    ("metriken", "metrics"),
    ("profil", "profiles"),
    ("profile", "profiles"),
    ("profilen", "profiles"),
    ("review", "reviews"),
    ("segment", "segments"),
    ("segmente", "segments"),
    ("subscription", "subscriptions"),
    ("tag", "tags"),
    ("template", "templates"),
    ("veranstaltung", "events"),
    ("veranstaltungen", "events"),
    ("vorlage", "templates"),
    ("vorlagen", "templates"),
    ("webhook", "webhooks"),
];

/// Returns a scope's one spelling.
pub fn normalise(name: &str) -> Result<String, String> {
    let lower = name.trim().to_lowercase().replace('_', "-");
    let (resource, access) = lower.split_once(':').unwrap_or((&lower, ""));
    let resource = resource.trim().replace(' ', "-");
    let resource = ALIASES.iter().find(|(old, _)| *old == resource).map_or(resource.as_str(), |(_, new)| new);
    let access = match access.trim() {
        "read" | "lesen" | "read-only" | "readonly" => "read",
        "write" | "schreiben" | "full" | "voll" => "write",
        other => other,
    };
    let wanted = format!("{resource}:{access}");
    if let Some(scope) = find(&wanted) {
        return Ok(scope.name.to_owned());
    }
    let near: Vec<&str> =
        all().iter().map(|it| it.name).filter(|it| it.split(':').next() == Some(resource)).collect();
    let shown = crate::key::text::printable(name, 60);
    Err(if near.is_empty() {
        let known: Vec<&str> = all().iter().map(|it| it.name).collect();
        format!("`{shown}` is no Klaviyo scope; known: {}", known.join(", "))
    } else {
        format!("`{shown}` is no Klaviyo scope; there is {}", near.join(" and "))
    })
}

/// Returns the scopes `METHOD path` needs, `include=` counted in; `None`: no
/// such operation. Ids in the path are whatever stands in their place.
pub fn needed_for(method: &str, path: &str) -> Option<Vec<String>> {
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let (route, query) = path.split_once('?').unwrap_or((path, ""));
    let route = route.trim_end_matches('/');
    let operation = operation_at(method, route)?;
    let mut needed: Vec<String> = operation.scopes.iter().map(|it| (*it).to_owned()).collect();
    for relation in included(query) {
        let needs = include_needs(operation, route, &relation);
        if needs.is_empty() {
            return None;
        }
        needed.extend(needs);
    }
    needed.sort();
    needed.dedup();
    Some(needed)
}

fn operation_at(method: &str, route: &str) -> Option<&'static Operation> {
    let fits = |template: &str| {
        let fixed = |part: &str| !part.starts_with('{');
        template.split('/').count() == route.split('/').count()
            && template
                .split('/')
                .zip(route.split('/'))
                .all(|(want, have)| want == have || (!fixed(want) && !have.is_empty()))
    };
    let mut fitting: Vec<&Operation> =
        OPERATIONS.iter().filter(|it| it.method.eq_ignore_ascii_case(method) && fits(it.path)).collect();
    // A route that is spelled out comes before one with an id in its place.
    fitting.sort_by_key(|it| it.path.matches('{').count());
    fitting.first().copied()
}

fn included(query: &str) -> Vec<String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| *name == "include")
        .flat_map(|(_, value)| {
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            value.split(',').map(|it| it.trim().to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

/// A relation the collection does not list may stand at its single object
/// (`lists` of a profile), else its name is that of a resource.
fn include_needs(operation: &Operation, route: &str, relation: &str) -> Vec<String> {
    let single = || operation_at("GET", &format!("{route}/x"));
    let listed = |it: &Operation| {
        it.includes.iter().find(|(name, _)| *name == relation).map(|(_, needs)| needs.clone())
    };
    if let Some(needs) = listed(operation).or_else(|| single().and_then(listed)) {
        return needs.into_iter().map(str::to_owned).collect();
    }
    normalise(&format!("{relation}:read")).into_iter().collect()
}
