//! Characters that cannot be seen for what they are: refused where something
//! is run or opened, never shown where they stand in a name.

use super::support::World;
use super::support::terminal::Terminal;

/// A world with one key and one place of it; `place` are its lines.
fn world(place: &str) -> World {
    let world = World::new();
    world.write_inventory(&format!(
        "version = 1\nstore = \"file\"\n\n[key.\"mailgun@acme\"]\nid = \"ktest0aaaa\"\nkind = \"account\"\ncurrent = 1\n\n\
         [[key.\"mailgun@acme\".consumer]]\nname = \"shop\"\n{place}\n"
    ));
    world
}

/// Returns whether a text has no character that cannot be seen.
fn is_seen(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\n' | '\t') || keyctl::key::text::hidden(c).is_none())
}

/// The first line of `place` in [`world`].
const LINE: usize = 11;

#[test]
fn a_command_or_address_that_is_not_what_is_seen_is_refused_with_its_place() {
    for (place, column, what) in [
        (
            "kind = \"command\"\ncommand = [\"deploy\", \"a\u{202e}b\"]",
            24,
            "argument 2 of `key.\"mailgun@acme\".consumer.command` has U+202E, a character that changes the direction of the text, as character 2",
        ),
        (
            "kind = \"command\"\ncommand = [\"de\u{200b}ploy\"]",
            15,
            "argument 1 of `key.\"mailgun@acme\".consumer.command` has U+200B, an invisible character, as character 3",
        ),
        (
            "kind = \"command\"\ncommand = ['sh', '-c', 'a\u{a0}b']",
            26,
            "has U+00A0, a space other than the usual one",
        ),
        // An escape of TOML stands where its text begins.
        (
            "kind = \"command\"\ncommand = [\"deploy\", \"\\u001b[2K\"]",
            22,
            "has U+001B, a control character, as character 1",
        ),
        ("kind = \"command\"\ncommand = [\"sh\", \"-c\", \"a\\nb\"]", 24, "has U+000A, a control character"),
        (
            "\nurl = \"https://shop.example/\u{e0041}\"",
            29,
            "`key.\"mailgun@acme\".consumer.url` has U+E0041, an invisible character, as character 22",
        ),
        (
            "\nurl = \"https://shop.example/e\u{301}\u{301}\u{301}\u{301}\u{301}\"",
            34,
            "has U+0301, a combining mark on no letter, or one of too many",
        ),
    ] {
        let world = world(place);
        let ran = world.run(&["-f", "json", "list"]).exits(2);
        let error = ran.json()["error"].clone();
        assert_eq!(error["code"], "bad-inventory", "{error}");
        let message = error["message"].as_str().unwrap();
        let at = format!("{}:{}:{column}: ", world.inventory_path().display(), LINE + 1);
        assert!(message.starts_with(&at) && message.contains(what), "{message}\n{at}{what}");
        assert!(error["hint"].as_str().unwrap().starts_with("take that character out"), "{error}");
        let told = world.run(&["rotate", "mailgun@acme", "--plan"]).exits(2).stderr;
        assert!(is_seen(&told), "{told:?}");
    }
}

#[test]
fn people_may_write_names_as_they_do() {
    let world =
        world("url = \"https://shop.example/caf%C3%A9\"\n[agency.acme]\nname = \"Käse & Söhne 🛒 東京の店\"");
    let shown = world.run(&["scope", "list"]).exits(0).stdout;
    assert!(shown.contains("Käse & Söhne 🛒 東京の店"), "{shown}");
    let add = ["consumer", "add", "mailgun@acme", "Lädchen 東京 🎉", "--command", "deploy", "Zürich/東京"];
    let ran = world.run(&add).exits(0);
    assert!(ran.stderr.contains("approved on this machine: deploy 'Zürich/東京'"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_seen_in_a_name_is_not_shown() {
    let hidden = "a\u{202e}b\u{200d}\u{e0041}c\u{85}";
    let world = World::new();
    world.write_inventory(&format!(
        "version = 1\nstore = \"file\"\n\n[agency.acme]\nname = \"{hidden}\"\n\n[key.\"mailgun@acme\"]\nid = \"ktest0aaaa\"\n\
         kind = \"account\"\ncurrent = 1\nnote = \"{hidden}\\u001b[2Kd\"\n\n\
         [[key.\"mailgun@acme\".consumer]]\nname = \"a\u{202e}b\u{200d}\u{e0041}c\"\n"
    ));
    for (arguments, name) in [
        (&["scope", "list"][..], "abc"),
        (&["show", "mailgun@acme"], "abc[2Kd"),
        (&["consumer", "list"], "abc"),
        (&["audit"], "mailgun@acme"),
    ] {
        for format in ["table", "plain", "json"] {
            let ran = world.run(&[&["-f", format], arguments].concat());
            let text = format!("{}{}", ran.stdout, ran.stderr);
            assert!(is_seen(&text), "{arguments:?}: {text:?}");
            assert!(format != "table" || text.contains(name), "{arguments:?}: {text}");
        }
    }
    let read = world.data(&["scope", "list"], 0);
    assert!(read.to_string().contains(hidden), "JSON tells the name as it is: {read}");
}

#[test]
fn a_place_is_recorded_only_with_what_is_seen() {
    let world = world("url = \"https://shop.example\"");
    let before = world.files();
    for (arguments, what) in [
        (
            &["a\u{202e}b"][..],
            "`ab` cannot name a consumer: it has U+202E, a character that changes the direction",
        ),
        (&["a\u{1b}b"], "it has U+001B, a control character"),
        (&["a\u{200b}"], "it has U+200B, an invisible character"),
        (
            &["x", "--url", "https://shop.example/\u{200d}a"],
            "has U+200D, an invisible character, as character 22",
        ),
        (
            &["x", "--command", "deploy", "a\nb"],
            "argument 2 of the command has U+000A, a control character, as character 2",
        ),
        (&["x", "--command", "deploy \u{2066}a"], "argument 1 of the command has U+2066"),
        (
            &["x", "--command", "deploy", "a\u{a0}b"],
            "has U+00A0, a space other than the usual one, as character 2",
        ),
    ] {
        let ran = world.run(&[&["consumer", "add", "mailgun@acme"], arguments].concat()).exits(2);
        assert!(ran.stderr.contains(what), "{arguments:?}: {}", ran.stderr);
    }
    let secret = ["key-", &"0".repeat(32)].concat();
    let add = ["add", "brevo@acme", "--consumer", "a\u{2066}b", "--stdin", "--no-input", "--no-validate"];
    let ran = world.run_with(&add, &secret).exits(2);
    assert!(ran.stderr.contains("`ab` cannot name a consumer: it has U+2066"), "{}", ran.stderr);
    world.unchanged_since(&before);
}

#[test]
fn a_prompt_shows_an_argument_that_looks_like_an_escape_for_what_it_is() {
    let place = "kind = \"command\"\ncommand = [\"cat\", '\\x1b[2K', \"it's\"]";
    let world = world(&place.replace("kind", "note = \"\"\nkind"));
    let text = world.inventory().replace("name = \"shop\"", "name = \"shop\u{202e}\u{200b}\"");
    world.write_inventory(&text);
    let secret = ["key-", &"0".repeat(32)].concat();
    let add =
        ["add", "mailgun@acme", "--kind", "account", "--stdin", "--no-input", "--no-validate", "--replace"];
    let _ = world.run_with(&add, &secret).exits(0);
    let mut terminal = Terminal::start(world.command(&["consumer", "push", "mailgun@acme"]));
    let shown = terminal.until("Allow it on this machine?");
    assert!(shown.is_ascii() && shown.contains("The consumer `shop` runs this program"), "{shown:?}");
    assert!(shown.contains(r"cat '\x1b[2K' 'it'\''s'"), "{shown:?}");
    terminal.line("n");
    let (shown, code) = terminal.end();
    assert_eq!(code, 9, "{shown}");
    assert!(shown.is_ascii(), "{shown:?}");
}

#[test]
fn an_import_takes_no_character_that_cannot_be_seen() {
    let world = World::new();
    std::fs::write(
        world.path("l.csv"),
        "id,name\nABCDEFGHIJKLMNOPQRST,\"Ber\u{200b}lin\u{202e} Süd\u{85}\"\n",
    )
    .unwrap();
    let _ = world.run(&["scope", "add", "acme"]).exits(0);
    let import =
        ["scope", "import", "acme", "--from-csv", "l.csv", "--id-column", "id", "--name-column", "name"];
    let _ = world.run(&import).exits(0);
    let text = world.inventory();
    assert!(text.contains("name = \"Berlin Süd\"") && text.contains("location.berlin-sud]"), "{text}");
}
