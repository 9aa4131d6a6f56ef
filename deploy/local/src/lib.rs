//! The servers a fleet stands on, as processes of this machine.
