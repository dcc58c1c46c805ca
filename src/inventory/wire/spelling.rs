//! How values, tables and keys are spelt in the file.

use super::shape::{Fields, Layout, Node};

/// Returns a basic string: one line, whatever is in it.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Returns a table path as it stands in a header: `key."mailgun@acme"`.
pub fn path_text(path: &[&str]) -> String {
    path.iter().map(|name| key_text(name)).collect::<Vec<_>>().join(".")
}

/// Returns a key, in quotes where it needs them.
pub fn key_text(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { quoted(name) }
}

/// Returns a value on one line.
pub fn inline(node: &Node) -> String {
    match node {
        Node::Text(text) => quoted(text),
        Node::Number(number) => number.to_string(),
        Node::Flag(flag) => flag.to_string(),
        Node::Texts(texts) => {
            format!("[{}]", texts.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", "))
        }
        Node::Table(fields) => inline_table(fields),
        Node::List(_, items) => {
            format!("[{}]", items.iter().map(inline_table).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Returns `{ a = 1, b = 2 }`.
pub fn inline_table(fields: &Fields) -> String {
    if fields.0.is_empty() {
        return "{}".to_owned();
    }
    let pairs: Vec<String> =
        fields.0.iter().map(|(name, node)| format!("{name} = {}", inline(node))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// Returns `name = value` with a newline, for what [has no header](has_header)
/// of its own.
pub fn body_line(name: &str, node: &Node) -> String {
    match node {
        Node::List(Layout::Lines, items) => {
            let lines: Vec<String> = items.iter().map(|it| format!("    {},\n", inline_table(it))).collect();
            format!("{name} = [\n{}]\n", lines.join("\n"))
        }
        node => format!("{name} = {}\n", inline(node)),
    }
}

/// Returns whether a node is written under headers of its own.
pub fn has_header(node: &Node) -> bool {
    matches!(node, Node::Table(_) | Node::List(Layout::Tables, _))
}

/// Returns a whole table with its header and everything below it, each block
/// preceded by a blank line.
pub fn block(path: &[&str], fields: &Fields) -> String {
    let mut out = format!("\n[{}]\n", path_text(path));
    body(path, fields, &mut out);
    out
}

/// Returns one element of an array of tables, preceded by a blank line.
pub fn item_block(path: &[&str], fields: &Fields) -> String {
    let mut out = format!("\n[[{}]]\n", path_text(path));
    body(path, fields, &mut out);
    out
}

fn body(path: &[&str], fields: &Fields, out: &mut String) {
    for (name, node) in fields.0.iter().filter(|(_, node)| !has_header(node)) {
        out.push_str(&body_line(name, node));
    }
    for (name, node) in &fields.0 {
        let mut deeper = path.to_vec();
        deeper.push(name);
        match node {
            Node::Table(fields) => out.push_str(&block(&deeper, fields)),
            Node::List(Layout::Tables, items) => {
                out.extend(items.iter().map(|item| item_block(&deeper, item)));
            }
            _ => {}
        }
    }
}
