//! `klamm verify`: clients that write down what they did and were told, faults if asked for, and a verdict.
//!
//! The rules are in the crate `history`; here are the clients (librdkafka's, which we didn't write), the faults, the files.
//!
//! * `producers`, `consumers`, `group_members`, `final_reader`: threads that tell the `recorder` every operation.
//! * `recorder`: one thread that writes the history, and feeds the ledger and the timeline.
//! * `chaos`: which faults, when, on whom; of a cluster of our own, of Docker Compose, or by the user's commands.
//! * `run`: one run from its topic to its verdict. `summary` and `report` tell of it; `stored` checks a history again.

mod chaos;
mod consumers;
mod final_reader;
mod group_members;
mod history_file;
mod plan;
mod producers;
mod read_runs;
mod recorder;
mod report;
mod run;
mod stored;
mod summary;
mod verify_command;

pub(super) use verify_command::VerifyArgs;
