//! What the targets start from, in the folder that `SEALPOST_SEEDS` names.

use std::path::Path;

use sealpost::engine::smime::fuzz;

/// Writes them; nothing where no folder is named.
pub fn write() {
    let Some(folder) = std::env::var_os("SEALPOST_SEEDS") else {
        return;
    };
    for (number, seed) in fuzz::seeds().iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number}"));
        std::fs::write(path, seed).expect("a folder that can be written");
    }
}
