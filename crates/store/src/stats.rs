//! What a database says of itself, for people.

/// How a database stands: its version and its size.
#[derive(Clone, PartialEq, Debug)]
pub struct Stats {
    pub schema: i32,
    /// The oldest program, by the schema it knows, that can still work on it.
    pub min_compatible: i32,
    pub incarnation: [u8; 16],
    /// On the disk, with the log.
    pub bytes: u64,
    /// Each table and how many rows it has, by name.
    pub tables: Vec<(String, i64)>,
}
