//! Carries a change of the model into the text.

use super::{Parsed, TEMPLATE, shape};
use crate::inventory::Inventory;

/// Returns the text that says `after`.
pub fn patch(parsed: &Parsed<'_>, after: &Inventory) -> String {
    let _ = parsed.text;
    let mut text = TEMPLATE.to_owned();
    let top = shape::top(after);
    for (name, node) in top.0.iter().filter(|(_, node)| !shape::has_header(node)) {
        text.push_str(&shape::body_line(name, node));
    }
    for (name, agency) in &after.agencies {
        text.push_str(&shape::block(&["agency", name.as_str()], &shape::place(&agency.place)));
        for (location, place) in &agency.locations {
            let path = ["agency", name.as_str(), "location", location.as_str()];
            text.push_str(&shape::block(&path, &shape::place(place)));
        }
    }
    for (key, record) in &after.keys {
        text.push_str(&shape::block(&["key", key.as_str()], &shape::record(record)));
    }
    for (id, rotation) in &after.rotations {
        text.push_str(&shape::block(&["rotation", id.as_str()], &shape::rotation(rotation)));
    }
    if let Some(shape::Node::List(_, items)) = top.get("waiver") {
        text.extend(items.iter().map(|item| shape::item_block(&["waiver"], item)));
    }
    text
}
