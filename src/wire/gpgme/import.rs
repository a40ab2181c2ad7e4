//! `import`.

use super::{Operation, answer};
use crate::verbs::gpgme::import::{Request, import};

pub(super) const OPERATION: Operation = Operation {
    name: "import",
    help: "op: \"import\"\n\
        data      the keys, in armor; or as base64\n\n\
        Optional:\n\
        protocol  \"openpgp\" (default) or \"cms\"\n\
        base64    data is base64\n\n\
        Answer:\n\
        result    how many keys there were and what was new in them, and imports: for each\n\
        \x20         fingerprint, error_string and status (1 new, 2 user ids, 4 signatures,\n\
        \x20         8 subkeys, 16 a secret key)",
    run: |fields, run| {
        let request = Request {
            protocol: fields.protocol()?,
            data: fields.data("data")?,
        };
        answer(&import(run.world, &request, &(run.context)())?)
    },
};
