//! Gives a table a header of its own that is written in braces or in dotted
//! keys, or that only the headers below it tell of. Its fields stay as they
//! are written, its comments stay with them.

use super::layout::{Form, Layout, Spot};
use super::spelling;
use super::splice::Splices;

/// Writes the table at `path` with a header: where it stood within the body of
/// another one, behind that body.
pub fn unfold(layout: Layout<'_>, path: &[String], out: &mut Splices) {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let Some(spot) = layout.locate(&path) else { return };
    let mut hosts = (0..path.len()).rev().filter_map(|depth| layout.locate(&path[..depth]));
    let Some(host) = hosts.find(|it| matches!(it.form, Form::Header | Form::Root)) else { return };
    let title = format!("[{}]", spelling::path_text(&path));
    let block = match spot.form {
        Form::Header | Form::Root => return,
        Form::Implied => {
            if let Some(first) = layout.first_header(spot.table.iter().map(|(_, value)| value)) {
                out.insert_block(first, format!("{title}\n\n"));
            }
            return;
        }
        Form::Dotted => format!("{title}\n{}", lines(layout, &spot, out)),
        Form::Inline => {
            let line = layout.line_start(spot.span.start);
            let (start, end) = (layout.lead(line), layout.line_end(spot.span.end));
            out.delete(start..end);
            let (above, behind) = (&layout.text[start..line], &layout.text[spot.span.end..end]);
            format!("{above}{title}{}\n{}", behind.trim_end(), pairs(layout, &spot))
        }
    };
    out.insert_block(layout.body_end(&host), format!("\n{}\n", block.trim_end()));
}

/// Takes out the lines of a table in dotted keys and returns them without the
/// names that lead to it.
fn lines(layout: Layout<'_>, spot: &Spot<'_>, out: &mut Splices) -> String {
    let mut lines = String::new();
    for pair in layout.body(spot.table) {
        let line = layout.line_start(pair.key.start);
        let (start, end) = (layout.lead(line), layout.line_end(pair.value.span().end));
        let (name, rest) = (spelling::path_text(&pair.names), layout.text[pair.key.end..end].trim_end());
        out.delete(start..end);
        lines.push_str(&format!("{}{name}{rest}\n", &layout.text[start..line]));
    }
    lines
}

/// Returns the fields of a table in braces, a line each with its comments.
fn pairs(layout: Layout<'_>, spot: &Spot<'_>) -> String {
    let mut lines = String::new();
    let gap = |lines: &mut String, gap: &str| {
        for (at, line) in gap.split('\n').map(|it| it.trim_matches([' ', '\t', '\r', ','])).enumerate() {
            match at {
                _ if line.is_empty() => {}
                0 if lines.ends_with('\n') => {
                    lines.truncate(lines.len() - 1);
                    lines.push_str(&format!(" {line}\n"));
                }
                _ => lines.push_str(&format!("{line}\n")),
            }
        }
    };
    let mut end = spot.span.start + 1;
    for (range, _) in layout.pairs(spot) {
        gap(&mut lines, &layout.text[end..range.start]);
        lines.push_str(&format!("{}\n", &layout.text[range.clone()]));
        end = range.end;
    }
    gap(&mut lines, &layout.text[end..spot.span.end - 1]);
    lines
}

#[cfg(test)]
mod tests {
    use crate::inventory::wire::{parse, patch};
    use crate::inventory::{Inventory, Place};
    use crate::key::{KeyRef, Name, Scope};

    /// Changes `text` and returns it, having looked that it says what was meant.
    fn changed(text: &str, change: impl Fn(&mut Inventory)) -> String {
        let mut results = [text.to_owned(), text.replace('\n', "\r\n")].map(|text| {
            let parsed = parse(&text).unwrap();
            let mut after = parsed.inventory.clone();
            change(&mut after);
            let new = patch(&parsed, &after);
            assert!(parse(&new).unwrap().inventory == after, "{new}");
            new
        });
        assert_eq!(results[0].replace('\n', "\r\n"), results[1]);
        std::mem::take(&mut results[0])
    }

    fn place<'a>(inventory: &'a mut Inventory, scope: &str) -> &'a mut Place {
        inventory.place_mut(&scope.parse::<Scope>().unwrap())
    }

    #[test]
    fn dotted_keys_at_the_top_become_a_table_with_their_comments() {
        let text = "version = 1\n\n# Ours.\nagency.acme.name = \"Acme\" # the name\n\
            agency.acme.x.\"a.b\" = [1,\n  2]\nagency.other.name = \"Other\"\n\n[x]\ny = 1\n";
        assert_eq!(
            changed(text, |it| place(it, "acme").gone = true),
            "version = 1\n\nagency.other.name = \"Other\"\n\n[agency.acme]\n# Ours.\n\
                name = \"Acme\" # the name\ngone = true\nx.\"a.b\" = [1,\n  2]\n\n[x]\ny = 1\n"
        );
    }

    #[test]
    fn braces_on_several_lines_become_a_table_with_their_comments() {
        let text = "[agency]\n# Above.\nacme = { # open\n  name = \"Acme\", # the name\n  # of ours\n  \
            \"x y\".z = 1,\n  # last\n} # behind\nother = {}";
        assert_eq!(
            changed(text, |it| place(it, "acme").gone = true),
            "[agency]\nother = {}\n\n# Above.\n[agency.acme] # behind\n# open\nname = \"Acme\" # the name\n\
                gone = true\n# of ours\n\"x y\".z = 1\n# last\n"
        );
    }

    #[test]
    fn every_form_can_be_renamed_and_removed() {
        let name = |text: &str| Name::parse(text).unwrap();
        for text in [
            "agency = { a = { name = \"A\", x = 1 }, b = { location.c.x = 2 } }\n",
            "agency.a.name = \"A\"\nagency.a.x = 1\nagency.b.location.c.x = 2\n",
            "[agency.a]\nname = \"A\"\nx = 1\n[agency.b.location.c]\nx = 2\n",
            "[agency]\na = { name = \"A\", x = 1 }\nb.location = { c = { x = 2 } }\n",
        ] {
            let renamed = changed(text, |it| {
                let agency = it.agencies.remove(&name("a")).unwrap();
                it.agencies.insert(name("z"), agency);
            });
            assert!(renamed.contains("x = 1") && renamed.contains("x = 2"), "{renamed}");
            let removed = changed(text, |it| drop(it.agencies.remove(&name("a"))));
            assert!(!removed.contains("x = 1") && removed.contains("x = 2"), "{removed}");
            let emptied = changed(text, |it| it.agencies.get_mut(&name("b")).unwrap().locations.clear());
            assert!(emptied.contains("x = 1") && !emptied.contains("x = 2"), "{emptied}");
        }
    }

    #[test]
    fn lists_in_braces_keep_what_is_not_known_here() {
        let text = "[key]\n\"brevo@a\" = { id = \"kaaaa\", kind = \"api\", consumer = [{ name = \"one\", x = 1 }, \
            { name = \"two\", url = \"u\" }], permissions = [ \"a\", \"b\", # why\n  \"c\" ] }\n";
        let key: KeyRef = "brevo@a".parse().unwrap();
        let new = changed(text, |it| {
            let record = it.keys.get_mut(&key).unwrap();
            record.consumers[0].url = Some("https://one.example".to_owned());
            record.consumers.remove(1);
            record.permissions = ["b", "c", "d"].map(str::to_owned).to_vec();
        });
        assert_eq!(
            new,
            "[key]\n\n[key.\"brevo@a\"]\nid = \"kaaaa\"\nkind = \"api\"\n\
                consumer = [{ name = \"one\", x = 1, url = \"https://one.example\" }]\n\
                permissions = [\n    \"b\", # why\n    \"c\",\n    \"d\",\n]\n"
        );
    }
}
