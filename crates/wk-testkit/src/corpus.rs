//! Where real attacks, blocks and answers of nodes lie, which nobody on this project wrote.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder, as `WK_CORPUS_DIR` says or beside the repository; says that the test is skipped and
/// gives none when it is not there.
pub fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("WK_CORPUS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    // Not `println!`: a skip is to be seen also when the test is quiet about the rest.
    let _ = writeln!(std::io::stdout(), "SKIPPED: corpus not found");
    None
}
