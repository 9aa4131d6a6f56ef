//! Proves the promises of a fleet under load, or says which one broke.
