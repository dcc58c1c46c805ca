//! What the tests stand on: real daemons, the program, the sandbox.

pub mod session;
