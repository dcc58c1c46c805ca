//! What the tests stand on: real daemons, the program, the sandbox.

#[allow(dead_code, reason = "each subject uses some of it")]
#[cfg(target_os = "linux")]
pub mod postfix;
#[allow(dead_code, reason = "each subject uses some of it")]
pub mod sandbox;
#[allow(dead_code, reason = "each subject uses some of it")]
pub mod scene;
pub mod schemas;
pub mod server;
pub mod session;
#[allow(dead_code, reason = "each subject uses some of it")]
pub mod terminal;

pub mod world;

pub use world::World;

/// Says that a test could not run for want of a program, or fails where the
/// checks have installed everything.
pub fn skip(why: &str) {
    assert!(std::env::var_os("KEYCTL_TEST_REQUIRE_REAL").is_none(), "{why}, and the checks require it");
    println!("skipped: {why}");
}
