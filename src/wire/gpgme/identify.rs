//! `identify`.

use super::{Operation, answer};
use crate::verbs::gpgme::identify::identify;

pub(super) const OPERATION: Operation = Operation {
    name: "identify",
    help: "op: \"identify\"\n\
        data    what is to be looked at\n\n\
        Optional:\n\
        base64  data is base64\n\n\
        Answer:\n\
        result  PGP-signed, PGP-signature, PGP-encrypted, PGP-key, PGP, CMS-signed,\n\
        \x20       CMS-encrypted, CMS, X.509, PKCS12 or unknown",
    run: |fields, _| answer(&identify(&fields.data("data")?)),
};
