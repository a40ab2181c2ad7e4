//! `sign`.

use super::{Operation, answer};
use crate::verbs::gpgme::sign::{Mode, Request, sign};
use crate::verbs::gpgme::{Code, Fault, GETTING};

pub(super) const OPERATION: Operation = Operation {
    name: "sign",
    help: "op: \"sign\"\n\
        keys      a text or several: fingerprints, key ids, addresses, parts of names\n\
        data      what is to be signed\n\n\
        Optional:\n\
        protocol  \"openpgp\" (default) or \"cms\"\n\
        mode      \"detached\" (default), \"opaque\" or \"clearsign\"\n\
        sender    the address that the signers say they are, where they have it\n\
        base64    data is base64\n\
        armor     the answer is armor\n\n\
        Answer:\n\
        type      \"signature\"\n\
        base64    whether data is base64: whatever is no armor\n\
        data      the signature, or the signed message",
    run: |fields, run| {
        let protocol = fields.protocol()?;
        let form = fields.flag("armor")?.into();
        // Any other word is the first of them, as gpgme-json has it.
        let mode = match fields.text("mode") {
            Some("opaque") => Mode::Opaque,
            Some("clearsign") => Mode::Clearsign,
            _ => Mode::Detached,
        };
        let getting = |fault: Fault| fault.doing(GETTING);
        let keys = fields.keys("keys").map_err(getting)?;
        if keys.is_empty() {
            return Err(getting(Fault::new(Code::NoKey)));
        }
        let request = Request {
            protocol,
            keys,
            data: fields.data("data")?,
            mode,
            form,
            sender: fields.text("sender").map(str::to_owned),
        };
        answer(&sign(run.world, &request, &(run.context)())?)
    },
};
