//! `createkey`.

use super::{Operation, answer};
use crate::verbs::gpgme::createkey::{Request, createkey};

pub(super) const OPERATION: Operation = Operation {
    name: "createkey",
    help: "op: \"createkey\"\n\
        userid       \"Name <address>\"\n\n\
        Optional:\n\
        algo         \"default\", \"future-default\" or \"ed25519\"\n\
        expires      in how many seconds it ends; 0: never; two years when absent\n\n\
        Answer:\n\
        fingerprint  of the new key",
    run: |fields, run| {
        let request = Request {
            userid: fields.required("userid")?.to_owned(),
            algorithm: fields.optional("algo")?.map(str::to_owned),
            expires: fields.number("expires")?,
        };
        answer(&createkey(run.world, &request, &(run.context)())?)
    },
};
