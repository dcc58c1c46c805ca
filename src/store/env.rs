//! Being written.
use super::{Row, Store, Surroundings};
pub const ROW: Row = Row { name: "env", summary: "", writable: true, open };
fn open(_: &Surroundings) -> Box<dyn Store> {
    unreachable!()
}
