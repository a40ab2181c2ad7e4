//! `decrypt`.

use super::{Operation, answer};
use crate::verbs::gpgme::decrypt::decrypt;

pub(super) const OPERATION: Operation = Operation {
    name: "decrypt",
    help: "op: \"decrypt\"\n\
        data      an encrypted message\n\n\
        Optional:\n\
        protocol  \"openpgp\" (default) or \"cms\"\n\
        base64    data is base64\n\n\
        Answer:\n\
        type      \"plaintext\"\n\
        base64    whether data is base64: whatever is not plain ASCII\n\
        data      the content\n\
        mime      true where the message says that its content is MIME\n\
        dec_info  file_name, symkey_algo, wrong_key_usage, is_de_vs, is_mime,\n\
        \x20         legacy_cipher_nomdc: nothing protects the content against change;\n\
        \x20         recipients: for each keyid, pubkey_algo_name, status_string, status_code\n\
        info      where it is signed: see verify",
    run: |fields, run| {
        let protocol = fields.protocol()?;
        let data = fields.data("data")?;
        answer(&decrypt(run.world, protocol, &data, &(run.context)())?)
    },
};
