//! Group commit, waiting and background services between the rules and a store.
