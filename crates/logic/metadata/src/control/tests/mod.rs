//! Decisions, tried on a cluster whose invariants are checked after every record.

mod big;
mod brokers;
mod cluster;
mod configs;
mod directories;
mod elections;
mod features;
mod isr;
mod quotas;
mod random_decisions;
mod reassignments;
mod topics;
