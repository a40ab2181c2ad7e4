//! The Autocrypt header field (Autocrypt 1.1, 2.1), with a certificate cut down to what an
//! answer needs.

use sequoia_autocrypt::{Attribute, AutocryptHeader, AutocryptHeaderType, AutocryptHeaders};
use sequoia_openpgp::Cert;
use sequoia_openpgp::packet::{Packet, Signature};

use super::certs;
use super::import;
use crate::base::Address;
use crate::base::autocrypt::PreferEncrypt;
use crate::engine::Offer;

/// The longest field that is written or read, in characters: what Autocrypt asks for. A
/// post-quantum certificate does not fit, and servers would refuse it.
const FIELD_MAX: usize = 10 << 10;

/// See [`crate::engine::Engine::offer`].
pub(super) fn offer(cert: &[u8], address: &Address, prefer: PreferEncrypt) -> Option<String> {
    let cert = minimal(&certs::parse(cert).ok()?, address)?;
    let mut attributes = vec![attribute("addr", &spelled(address)?)];
    // What is left out says that there is no preference.
    if prefer == PreferEncrypt::Mutual {
        attributes.push(attribute("prefer-encrypt", prefer.name()));
    }
    let header = AutocryptHeader {
        header_type: AutocryptHeaderType::Sender,
        key: Some(cert),
        attributes,
    };
    let mut value = Vec::new();
    header.serialize(&mut value).ok()?;
    let value = String::from_utf8(value).ok()?.trim_end().to_owned();
    (value.len() <= FIELD_MAX).then_some(value)
}

/// See [`crate::engine::Engine::offered`].
pub(super) fn offered(value: &str) -> Option<Offer> {
    if value.len() > FIELD_MAX || value.contains(['\r', '\n', '\0']) {
        return None;
    }
    let parsed = AutocryptHeaders::from_bytes(format!("Autocrypt: {value}").as_bytes()).ok()?;
    let [header] = parsed.headers.as_slice() else {
        return None;
    };
    let mut address = None;
    let mut prefer = PreferEncrypt::NoPreference;
    let mut keys = 0;
    for attribute in &header.attributes {
        match attribute.key.as_str() {
            // Sequoia takes the underscore away and calls critical what Autocrypt lets pass.
            _ if attribute.critical => {}
            "addr" if address.is_none() => address = Some(Address::parse(&attribute.value)?),
            "keydata" => keys += 1,
            "prefer-encrypt" => prefer = PreferEncrypt::of(&attribute.value),
            "" if attribute.value.is_empty() => {}
            _ => return None,
        }
    }
    if keys != 1 {
        return None;
    }
    let cert = header.key.clone()?.strip_secret_key_material();
    let cert = import::keep(&cert, &|_| Vec::new()).ok()?;
    Some(Offer {
        address: address?,
        cert: import::public(&cert).ok()?,
        prefer,
    })
}

/// An address as a field can hold it: in ASCII, and with nothing in it that ends an attribute.
fn spelled(address: &Address) -> Option<String> {
    let (local, _) = address.as_str().rsplit_once('@')?;
    let spelled = format!("{local}@{}", address.domain());
    let fits = |b: u8| b.is_ascii_graphic() && b != b';';
    spelled.bytes().all(fits).then_some(spelled)
}

fn attribute(key: &str, value: &str) -> Attribute {
    Attribute {
        critical: true,
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

/// The primary key, one user id with that address, and the subkeys that encrypt or sign, each
/// with its newest self-signature. `None` when no user id has the address.
fn minimal(cert: &Cert, address: &Address) -> Option<Cert> {
    let primary = cert.primary_key();
    let mut packets = vec![Packet::PublicKey(primary.key().clone())];
    packets.extend(newest(primary.self_signatures()));
    let user_id = cert
        .userids()
        .filter(|ua| ua.self_revocations().next().is_none())
        .filter(|ua| certs::address(ua.userid()).as_ref() == Some(address))
        .find_map(|ua| Some((ua.userid().clone(), newest(ua.self_signatures())?)));
    let (user_id, binding) = user_id?;
    packets.push(user_id.into());
    packets.push(binding);
    for ka in cert.keys().subkeys() {
        let useful = ka.self_signatures().next().is_some_and(|binding| {
            binding.key_flags().is_some_and(|flags| {
                flags.for_signing()
                    || flags.for_transport_encryption()
                    || flags.for_storage_encryption()
            })
        });
        if useful && ka.self_revocations().next().is_none() {
            packets.push(Packet::PublicSubkey(ka.key().clone()));
            packets.extend(newest(ka.self_signatures()));
        }
    }
    Cert::try_from(packets).ok()
}

fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<Packet> {
    signatures
        .max_by_key(|signature| signature.signature_creation_time())
        .map(|signature| Packet::from(signature.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_in_ascii() {
        let spelled = |text: &str| spelled(&Address::parse(text).unwrap());
        let plain = Some("Dave@xn--bcher-kva.example".to_owned());
        assert_eq!(spelled("Dave@b\u{fc}cher.example"), plain);
        assert_eq!(spelled("Dave@example.org").unwrap(), "Dave@example.org");
        for odd in [
            "d\u{e4}ve@example.org",
            "\"a b\"@example.org",
            "\"a;b\"@example.org",
        ] {
            assert_eq!(spelled(odd), None, "{odd}");
        }
    }

    #[test]
    fn fields_that_offer_nothing() {
        for value in [
            "",
            "addr=a@b.example",
            "addr=a@b.example; keydata=",
            "addr=a@b.example; keydata=AAEC",
            "addr=not an address; keydata=AAEC",
        ] {
            assert!(offered(value).is_none(), "{value:?}");
        }
    }
}
