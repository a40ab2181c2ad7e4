//! `export`.

use base64_simd::STANDARD;
use serde::Serialize;

use super::{Operation, answer};
use crate::base::Protocol;
use crate::verbs::gpgme::export::{Content, Request, Shape, export, no_secrets};
use crate::verbs::gpgme::{Code, Fault};

pub(super) const OPERATION: Operation = Operation {
    name: "export",
    help: "op: \"export\"\n\n\
        Optional:\n\
        keys           a text or several, as in keylist; all keys without any\n\
        protocol       \"openpgp\" (default) or \"cms\"\n\
        armor          as text, not as base64\n\
        minimal        without what others say of the keys\n\
        with-sec-fprs  name those whose secret half is here\n\
        extern         changes nothing: it is about servers of keys\n\
        raw, pkcs12    of \"cms\"; they change nothing: they are about secret keys\n\
        secret         not allowed\n\n\
        Answer:\n\
        type           \"keys\"\n\
        base64         whether data is base64\n\
        data           the keys\n\
        sec-fprs       fingerprints, with with-sec-fprs",
    run: |fields, run| {
        let protocol = fields.protocol()?;
        let armor = fields.flag("armor")?;
        if fields.flag("secret")? {
            return Err(no_secrets());
        }
        fields.flag("extern")?;
        for flag in ["raw", "pkcs12"] {
            if fields.flag(flag)? && protocol == Protocol::OpenPgp {
                return Err(Fault::new(Code::NotSupported).doing("Error exporting keys"));
            }
        }
        let content = match fields.flag("minimal")? {
            true => Content::Minimal,
            false => Content::All,
        };
        let with_own = fields.flag("with-sec-fprs")?;
        let request = Request {
            protocol,
            keys: fields.keys("keys")?,
            shape: if armor { Shape::Armored } else { Shape::Binary },
            content,
        };
        let exported = export(run.world, &request, &(run.context)())?;
        let data = match armor {
            true => String::from_utf8(exported.data).map_err(|_| Fault::new(Code::General))?,
            false => STANDARD.encode_to_string(&exported.data),
        };
        answer(&Answer {
            r#type: "keys",
            base64: !armor,
            data: &data,
            own: with_own.then_some(exported.own.as_slice()),
        })
    },
};

#[derive(Serialize)]
struct Answer<'a> {
    r#type: &'static str,
    base64: bool,
    data: &'a str,
    #[serde(rename = "sec-fprs", skip_serializing_if = "Option::is_none")]
    own: Option<&'a [String]>,
}
