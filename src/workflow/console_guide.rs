//! What a person does in a vendor's console, told with the exact way there in
//! English and German.

use crate::context::Context;
use crate::operator::{Emphasis, Level, Presence, Sheet};
use crate::provider::Guide;

/// Tells the way through a console.
pub fn show(context: &Context, title: &str, guide: &Guide) {
    let mut sheet = Sheet::titled(title);
    sheet.line(Emphasis::Plain, 2, &guide.url);
    sheet.line(Emphasis::Plain, 2, &guide.path);
    if let Some(german) = &guide.path_de {
        sheet.line(Emphasis::Dim, 2, format!("German: {german}"));
    }
    for (n, step) in guide.steps.iter().enumerate() {
        sheet.line(Emphasis::Plain, 2, format!("{}. {step}", n + 1));
    }
    context.operator.sheet(Level::Task, &sheet);
}

/// Opens a page in the person's browser. Only where somebody is at a terminal;
/// what cannot be opened is no failure, since the address was told.
pub fn open(context: &Context, url: &str) {
    if context.operator.presence() != Presence::Person {
        context.operator.note("note: nobody is at a terminal; the page is not opened");
        return;
    }
    let (program, arguments): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("rundll32", &["url.dll,FileProtocolHandler"]),
        _ => ("xdg-open", &[]),
    };
    let mut command = std::process::Command::new(program);
    command.args(arguments).arg(url);
    // A browser needs the desktop's variables, but none of ours.
    for name in context.environment.own_names() {
        command.env_remove(name);
    }
    let silent = std::process::Stdio::null;
    let started = command.stdin(silent()).stdout(silent()).stderr(silent()).status();
    if !started.is_ok_and(|status| status.success()) {
        context.operator.note(format!("note: `{program}` could not open the page; open {url} yourself"));
    }
}
