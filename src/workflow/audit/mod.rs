//! Findings: what needs attention in the inventory, and with `online` what only
//! one side knows.

pub mod across_records;
pub mod finding;
pub mod one_record;
pub mod online;
pub mod secrets;
pub mod waivers;
