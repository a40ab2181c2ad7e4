//! What this program is, and what it offers.

use super::args::Version;
use super::fault::Result;
use super::profiles;
use crate::cli::print;
use crate::engine::openpgp::LIBRARY;

/// The draft's newest revision whose changes are here, as far as they can be known.
const DRAFT: &str = "~draft-dkg-openpgp-stateless-cli-15";

/// Of the subset for verifying: version, verify, inline-verify.
const SOPV: &str = "1.0";

/// `version`.
pub fn version(args: &Version) -> Result<()> {
    let own = format!("sealpost {}", env!("CARGO_PKG_VERSION"));
    let (library, version) = LIBRARY;
    let below = format!("{library} {version}");
    let text = match args {
        Version { backend: true, .. } => format!("{below}\n"),
        Version { extended: true, .. } => {
            format!("{own}\n{below}\ncryptography by OpenSSL\n{DRAFT}\nsopv {SOPV}\n")
        }
        Version { sop_spec: true, .. } => {
            format!("{DRAFT}\n\nWithout keys in hardware (@HARDWARE:).\n")
        }
        Version { sopv: true, .. } => format!("{SOPV}\n"),
        _ => format!("{own}\n"),
    };
    Ok(print::out(&text)?)
}

/// `list-profiles`.
pub fn profiles(subcommand: &str) -> Result<()> {
    Ok(print::out(&profiles::lines(subcommand)?)?)
}
