//! `version`.

use super::{Operation, answer};
use crate::verbs::gpgme::version::version;

pub(super) const OPERATION: Operation = Operation {
    name: "version",
    help: "op: \"version\"\n\n\
        Answer:\n\
        gpgme  the version of gpgme-json whose dialect this is\n\
        info   for each protocol: protocol, fname, version, req_version, homedir",
    run: |_, run| answer(&version(run.world)),
};
