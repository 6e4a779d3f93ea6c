//! All interleavings of few steps on three replicas of one partition, over the real rules: `partition` (leader, follower,
//! ISR, high watermark, truncation) and `metadata::control` (fence, register, alter partition, elect).
//!
//! The simulation draws some interleavings of everything; this takes every interleaving of little. A [`Scenario`] leads to a
//! state by a script, and allows so many appends, crashes, fencings, broken streams; [`explore`] then takes every order in which
//! steps can happen (messages on their way are delivered at any time, or never), breadth first, so that the first violation has
//! the shortest way to it. What is checked in every state is in `checks`.
//!
//! Pure: no clock, no randomness, no tasks. What broker and controller do around the rules is modelled here in small: the shells'
//! own code is the simulation's business.

mod checks;
mod controller;
mod fingerprint;
mod log;
mod messages;
mod moves;
mod node;
mod scenario;
mod search;
mod world;

pub use checks::Violation;
pub use moves::Step;
pub use scenario::{Scenario, scenarios};
pub use search::{Outcome, explore};
pub use world::{Budget, World};

#[cfg(test)]
mod tests;
