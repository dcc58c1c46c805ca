//! The demonstration world: an agency with locations in several states of
//! health.

use crate::world::World;

/// Fills the world and returns the variables that name its secrets.
pub fn seed(_world: &mut World) -> Vec<(String, String)> {
    Vec::new()
}
