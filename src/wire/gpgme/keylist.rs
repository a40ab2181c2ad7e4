//! `keylist`.

use super::{Operation, answer};
use crate::verbs::gpgme::keylist::{Look, Request, Show, keylist};

pub(super) const OPERATION: Operation = Operation {
    name: "keylist",
    help: "op: \"keylist\"\n\n\
        Optional:\n\
        keys         a text or several: fingerprints, key ids, addresses, parts of names; all\n\
        \x20            keys without any\n\
        protocol     \"openpgp\" (default) or \"cms\"\n\
        secret       only keys whose secret half is here\n\
        with-secret  tell whose secret half is here\n\
        keygrip      tell keygrips, where GnuPG has the key\n\
        extern, locate, force-extern\n\
        \x20            look for addresses elsewhere, where policy lets us\n\
        local, sigs, notations, tofu, validate, ephemeral\n\
        \x20            change nothing: lists are local, and hold nobody else's signatures\n\n\
        Answer:\n\
        keys         for each: revoked, expired, disabled, invalid, can_encrypt, can_sign,\n\
        \x20            can_certify, can_authenticate, secret, is_qualified, protocol, fingerprint,\n\
        \x20            owner_trust, origin, last_update, subkeys, userids; with \"cms\"\n\
        \x20            issuer_serial, issuer_name, chain_id",
    run: |fields, run| {
        let protocol = fields.protocol()?;
        let secret_only = fields.flag("secret")?;
        let show = Show {
            secret: fields.flag("with-secret")? || secret_only,
            keygrip: fields.flag("keygrip")?,
        };
        for flag in [
            "local",
            "sigs",
            "notations",
            "tofu",
            "validate",
            "ephemeral",
        ] {
            fields.flag(flag)?;
        }
        let mut look = Look::Here;
        for flag in ["extern", "locate", "force-extern"] {
            if fields.flag(flag)? {
                look = Look::Elsewhere;
            }
        }
        let request = Request {
            protocol,
            keys: fields.keys("keys")?,
            secret_only,
            show,
            look,
        };
        answer(&keylist(run.world, &request, &(run.context)())?)
    },
};
