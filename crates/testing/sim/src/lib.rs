//! The deterministic cluster: world, network, disk, clock, faults, workload, oracle, invariants.
