//! `verify`.

use super::{Operation, answer};
use crate::verbs::gpgme::verify::verify;

pub(super) const OPERATION: Operation = Operation {
    name: "verify",
    help: "op: \"verify\"\n\
        data       what is signed: with its signature in it where none is given\n\n\
        Optional:\n\
        protocol   \"openpgp\" (default) or \"cms\"\n\
        signature  a signature that stands apart\n\
        base64     data and signature are base64\n\n\
        Answer:\n\
        info       is_mime; signatures: for each summary (sigsum, valid, green, red, revoked,\n\
        \x20          key-expired, sig-expired, key-missing, crl-missing, crl-too-old, bad-policy,\n\
        \x20          sys-error), wrong_key_usage, chain_model, is_de_vs, status_string,\n\
        \x20          status_code, fingerprint, validity_string, validity, validity_reason,\n\
        \x20          pubkey_algo_name, hash_algo_name, timestamp, exp_timestamp, pka_trust,\n\
        \x20          notations\n\
        type       without signature: \"plaintext\"\n\
        base64     without signature: whether data is base64\n\
        data       without signature: what was verified",
    run: |fields, run| {
        let protocol = fields.protocol()?;
        let data = fields.data("data")?;
        let signature = fields.data_if_any("signature")?;
        let cx = (run.context)();
        answer(&verify(
            run.world,
            protocol,
            &data,
            signature.as_ref(),
            &cx,
        )?)
    },
};
