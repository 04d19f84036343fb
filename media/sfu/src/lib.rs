//! The shard: a sans-IO selective forwarding unit.
