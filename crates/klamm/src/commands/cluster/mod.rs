//! `klamm cluster …`.

mod cluster_command;
mod describe;
mod drain;
mod drain_plan;
mod elect;
mod log_dirs;
mod moves;
mod reassign;
mod reassign_plan;
mod reassignments;
mod safe_to_stop;

pub(super) use cluster_command::ClusterCommand;
pub(crate) use elect::{Election, ElectionType, elect_leaders};
pub(crate) use log_dirs::{LogDir, alter_log_dirs, describe_log_dirs};
pub(crate) use reassign_plan::{ANY_LOG_DIR, PlannedReplicas, read_plan_file};
pub(crate) use reassignments::{Reassignment, alter_reassignments, list_reassignments};
