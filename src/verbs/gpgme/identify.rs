//! `identify`: what data seems to be, by its first bytes. What it is shows when it is opened.

use base64_simd::forgiving_decode_to_vec;
use serde::Serialize;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Reply {
    result: &'static str,
}

/// How far a line that begins armor may be from the start, in bytes.
const LOOKED_AT: usize = 4096;

/// Words behind `-----BEGIN `, each with what it begins.
const ARMOR: [(&str, &str); 11] = [
    ("PGP SIGNED MESSAGE", "PGP-signed"),
    ("PGP SIGNATURE", "PGP-signature"),
    ("PGP PUBLIC KEY BLOCK", "PGP-key"),
    ("PGP PRIVATE KEY BLOCK", "PGP-key"),
    ("PGP", "PGP"),
    ("CERTIFICATE", "X.509"),
    ("SIGNED MESSAGE", "CMS-signed"),
    ("ENCRYPTED MESSAGE", "CMS-encrypted"),
    ("PKCS12", "PKCS12"),
    ("PKCS7", "CMS"),
    ("CMS", "CMS"),
];

/// The content types of CMS (RFC 5652), as DER.
const CMS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07";

/// Looks at data.
pub fn identify(data: &[u8]) -> Reply {
    let found = armored(data).or_else(|| der(data)).or_else(|| packet(data));
    Reply {
        result: found.unwrap_or("unknown"),
    }
}

/// Whether this is the DER of a signed CMS object.
pub fn is_signed_cms(data: &[u8]) -> bool {
    der(data) == Some("CMS-signed")
}

fn armored(data: &[u8]) -> Option<&'static str> {
    let head = data.get(..LOOKED_AT).unwrap_or(data);
    let head = String::from_utf8_lossy(head);
    let begin = head
        .lines()
        .find_map(|line| line.strip_prefix("-----BEGIN "))?;
    if begin.starts_with("PGP MESSAGE") {
        return inside(data).or(Some("PGP-encrypted"));
    }
    let known = ARMOR.iter().find(|(words, _)| begin.starts_with(words));
    known.map(|(_, what)| *what)
}

/// What the first packet in armor says.
fn inside(data: &[u8]) -> Option<&'static str> {
    let text = data.get(..LOOKED_AT).unwrap_or(data);
    let text = String::from_utf8_lossy(text);
    let mut lines = text
        .lines()
        .map(str::trim_end)
        .skip_while(|line| !line.starts_with("-----BEGIN PGP MESSAGE"));
    // What stands between the frame and the first empty line is about the armor.
    lines.find(|line| line.is_empty())?;
    let first = forgiving_decode_to_vec(lines.next()?.get(..4)?.as_bytes()).ok()?;
    packet(&first)
}

/// CMS, a certificate or PKCS#12: each a SEQUENCE that begins with something else.
fn der(data: &[u8]) -> Option<&'static str> {
    let content = sequence(data)?;
    if let Some(kind) = content.strip_prefix(CMS) {
        return Some(match kind.first() {
            Some(2) => "CMS-signed",
            Some(3) => "CMS-encrypted",
            _ => "CMS",
        });
    }
    // Version 3 of a PFX (RFC 7292 4).
    if content.starts_with(&[2, 1, 3, 0x30]) {
        return Some("PKCS12");
    }
    // A version, or a serial number and an algorithm (RFC 5280 4.1).
    let first = sequence(content)?.first()?;
    matches!(first, 0xa0 | 2).then_some("X.509")
}

/// What is in the SEQUENCE that data begins with.
fn sequence(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(&[0x30])?;
    let (length, rest) = rest.split_first()?;
    match length {
        0x80 => Some(rest),
        length if *length < 0x80 => Some(rest),
        length => rest.get(usize::from(length & 0x7f)..),
    }
}

/// A packet of OpenPGP (RFC 9580 4.2), by its type.
fn packet(data: &[u8]) -> Option<&'static str> {
    let first = data.first()?;
    let kind = match first {
        first if first & 0xc0 == 0xc0 => first & 0x3f,
        first if first & 0xc0 == 0x80 => (first >> 2) & 0x0f,
        _ => return None,
    };
    Some(match kind {
        1 | 3 | 9 | 18 | 20 => "PGP-encrypted",
        2 => "PGP-signature",
        // What is compressed is not encrypted: signed, most likely.
        4 | 8 => "PGP-signed",
        5 | 6 => "PGP-key",
        10 | 11 => "PGP",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::identify;

    #[test]
    fn first_bytes_tell() {
        for (data, what) in [
            (&b"-----BEGIN PGP MESSAGE-----\n"[..], "PGP-encrypted"),
            (
                b"-----BEGIN PGP MESSAGE-----\nVersion: 1\n\nowGbwMvMwCH\n",
                "PGP-signed",
            ),
            (
                b"-----BEGIN PGP MESSAGE-----\r\n\r\nkA0DAAoB\r\n",
                "PGP-signed",
            ),
            (b"-----BEGIN PGP MESSAGE-----\n\nhF4D\n", "PGP-encrypted"),
            (b"text\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "PGP-key"),
            (b"-----BEGIN PGP SIGNED MESSAGE-----\n", "PGP-signed"),
            (b"-----BEGIN CERTIFICATE-----\n", "X.509"),
            (
                b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
                "CMS-signed",
            ),
            (
                b"\x30\x82\x01\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03",
                "CMS-encrypted",
            ),
            (b"\x30\x82\x01\x00\x30\x81\xa0\xa0\x03", "X.509"),
            (b"\x30\x82\x01\x00\x02\x01\x03\x30", "PKCS12"),
            (b"\xc1\x0f\x03", "PGP-encrypted"),
            (b"\x99\x01\x0d", "PGP-key"),
            (b"\x89\x01\x0d", "PGP-signature"),
            (b"hello", "unknown"),
            (b"", "unknown"),
        ] {
            assert_eq!(identify(data).result, what, "{data:?}");
        }
    }
}
