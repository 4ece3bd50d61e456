//! The rules from outside: tables, and random sequences against what must always hold.

mod task_states;
