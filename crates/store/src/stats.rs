//! What a database is and how much it holds, for those who look after it.

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stats {
    pub schema: i32,
    /// The oldest program, by the schema it knows, that can still work on this database.
    pub min_compatible: i32,
    pub incarnation: [u8; 16],
    /// All that it takes up, indexes too.
    pub bytes: u64,
    /// Every table with the number of its rows.
    pub tables: Vec<(String, i64)>,
}
