//! `encrypt`.

use super::{Operation, answer};
use crate::base::extra::{Content, Naming};
use crate::verbs::gpgme::encrypt::{Addressing, Own, Request, encrypt};
use crate::verbs::gpgme::{Code, Fault, GETTING};

pub(super) const OPERATION: Operation = Operation {
    name: "encrypt",
    help: "op: \"encrypt\"\n\
        keys           a text or several: fingerprints, key ids, addresses, parts of names\n\
        data           what is to be encrypted\n\n\
        Optional:\n\
        protocol       \"openpgp\" (default) or \"cms\"\n\
        signing_keys   as keys: who signs it too (openpgp only)\n\
        sender         the address that the signers say they are, where they have it\n\
        file_name      what the content is called\n\
        base64         data is base64\n\
        armor          the answer is armor\n\
        mime           the content is MIME, and the message says so\n\
        always-trust   nobody need stand for the keys; what was said against one counts\n\
        no-encrypt-to  leave out the keys that gpg.conf names for every message\n\
        throw-keyids   name no recipient\n\
        want-address   take no recipient who is not named by an address\n\
        wrap           data is an OpenPGP message that is not encrypted\n\
        no-compress    changes nothing: nothing is compressed\n\n\
        Answer:\n\
        type           \"ciphertext\"\n\
        base64         whether data is base64: whatever is no armor\n\
        data           the message",
    run: |fields, run| {
        let protocol = fields.protocol()?;
        let mime = fields.flag("mime")?;
        let form = fields.flag("armor")?.into();
        let trusting = fields.flag("always-trust")?.into();
        let own = match fields.flag("no-encrypt-to")? {
            true => Own::Left,
            false => Own::Included,
        };
        fields.flag("no-compress")?;
        let naming = match fields.flag("throw-keyids")? {
            true => Naming::Hidden,
            false => Naming::Named,
        };
        let content = match (fields.flag("wrap")?, mime) {
            (true, _) => Content::Message,
            (false, true) => Content::Mime,
            (false, false) => Content::Data,
        };
        let addressing = match fields.flag("want-address")? {
            true => Addressing::ByAddress,
            false => Addressing::Anyhow,
        };
        let getting = |fault: Fault| fault.doing(GETTING);
        let keys = fields.keys("keys").map_err(getting)?;
        // An empty list of signers is none, as gpgme-json has it.
        let signing_keys = fields.keys("signing_keys").map_err(getting)?;
        if keys.is_empty() {
            return Err(getting(Fault::new(Code::NoKey)));
        }
        let request = Request {
            protocol,
            keys,
            signing_keys: (!signing_keys.is_empty()).then_some(signing_keys),
            data: fields.data("data")?,
            form,
            trusting,
            naming,
            content,
            own,
            addressing,
            file_name: fields.text("file_name").map(str::to_owned),
            sender: fields.text("sender").map(str::to_owned),
        };
        answer(&encrypt(run.world, &request, &(run.context)())?)
    },
};
