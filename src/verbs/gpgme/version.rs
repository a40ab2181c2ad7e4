//! `version`: which gpgme-json this stands for, and what does the work.

use serde::Serialize;

use crate::base::Protocol;
use crate::verbs::World;

/// The gpgme-json whose answers these are: clients turn functions off below a version that they
/// need.
const STANDS_FOR: &str = "1.18.0";

/// What answers for a family.
const PROGRAM: &str = "sealpost";

/// The answer.
#[derive(Debug, Serialize)]
pub struct Reply {
    gpgme: &'static str,
    info: Vec<Engine>,
}

#[derive(Debug, Serialize)]
struct Engine {
    protocol: &'static str,
    fname: &'static str,
    version: &'static str,
    req_version: &'static str,
    homedir: &'static str,
}

/// The families that are used here, under this program's own version.
pub fn version(world: &World) -> Reply {
    let engine = |protocol| Engine {
        protocol: match protocol {
            Protocol::OpenPgp => "OpenPGP",
            Protocol::Smime => "CMS",
        },
        fname: PROGRAM,
        version: env!("CARGO_PKG_VERSION"),
        req_version: env!("CARGO_PKG_VERSION"),
        homedir: "default",
    };
    Reply {
        gpgme: STANDS_FOR,
        info: world.protocols().into_iter().map(engine).collect(),
    }
}
