//! The demo's material: text files whose word counts are known beforehand.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use taskyard_core::random::Seeded;

const WORDS: [&str; 12] = [
    "yard", "crane", "wagon", "signal", "track", "switch", "freight", "buffer", "shunt",
    "coupling", "depot", "siding",
];

pub(super) struct TextFile {
    pub(super) path: PathBuf,
    pub(super) words: u64,
}

/// So many files in this directory, of some thousand words each; the same ones every time.
pub(super) fn generate(directory: &Path, count: usize) -> std::io::Result<Vec<TextFile>> {
    let mut random = Seeded::new(7);
    (0..count)
        .map(|number| {
            let path = directory.join(format!("text-{number:03}.txt"));
            let words = 1000 + random.below(4000);
            let mut text = String::new();
            for word in 0..words {
                let end = if word % 12 == 11 { '\n' } else { ' ' };
                let pick = usize::try_from(random.below(WORDS.len() as u64)).unwrap_or(0);
                let _ = write!(text, "{}{end}", WORDS[pick]);
            }
            std::fs::write(&path, text)?;
            Ok(TextFile { path, words })
        })
        .collect()
}
