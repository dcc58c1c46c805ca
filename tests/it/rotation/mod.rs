//! `keyctl rotate` and `keyctl consumer` against the sandbox: what is promised
//! at every moment, also when the process or a request dies at any of them.

mod consumers;
mod crashes;
mod env_versions;
mod failures;
mod guided;
mod guided_killed;
mod joint;
mod operators;
mod pasted;
mod paths;
mod restored;
pub mod rig;
mod switched_off;
mod take_over;
mod undo;
mod vendor;
