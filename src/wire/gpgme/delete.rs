//! `delete`.

use super::{Operation, answer};
use crate::verbs::gpgme::delete::{Request, delete};
use crate::verbs::gpgme::export::no_secrets;
use crate::verbs::gpgme::{Code, Fault};

pub(super) const OPERATION: Operation = Operation {
    name: "delete",
    help: "op: \"delete\"\n\
        key       the fingerprint of somebody else's key\n\n\
        Optional:\n\
        protocol  \"openpgp\" (default) or \"cms\"\n\n\
        Answer:\n\
        success   true",
    run: |fields, run| {
        let protocol = fields.protocol()?;
        if fields.flag("secret")? {
            return Err(no_secrets());
        }
        let key = fields.optional("key")?.ok_or(Fault::new(Code::NoKey))?;
        let request = Request {
            protocol,
            key: key.to_owned(),
        };
        answer(&delete(run.world, &request, &(run.context)())?)
    },
};
