//! What the tests stand on: real daemons, the program, the sandbox.

pub mod session;

pub mod world;

pub use world::World;
