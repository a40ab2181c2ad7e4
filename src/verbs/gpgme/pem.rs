//! CMS in armor, as gpgsm writes it, and any armor taken out of what stands around it.

use base64_simd::{STANDARD, forgiving_decode_to_vec};
use bytes::Bytes;

use super::data::Form;

/// Bytes of content in one line of armor (RFC 7468 2).
const LINE: usize = 48;

/// The block of armor that is the first in a text: its label, and from its first dash to its last.
/// `None` where there is none, or it has no end.
pub fn block(data: &Bytes) -> Option<(String, Bytes)> {
    let at = begins(data)?;
    let rest = data.get(at..)?;
    let line = rest.get(..memchr::memchr(b'\n', rest)?)?;
    let label = line
        .trim_ascii_end()
        .strip_prefix(BEGIN)?
        .strip_suffix(b"-----")?;
    let label = std::str::from_utf8(label).ok()?.to_owned();
    let last = match label.as_str() {
        "PGP SIGNED MESSAGE" => "PGP SIGNATURE",
        label => label,
    };
    let end = format!("\n-----END {last}-----");
    let length = memchr::memmem::find(rest, end.as_bytes())? + end.len();
    Some((label, data.slice_ref(rest.get(..length)?)))
}

const BEGIN: &[u8] = b"-----BEGIN ";

fn begins(data: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(data, BEGIN).find(|at| {
        let before = at.checked_sub(1).and_then(|at| data.get(at));
        before.is_none_or(|byte| *byte == b'\n')
    })
}

/// The DER of a CMS object: what came, or what is in its armor. gpgsm takes base64 without armor as
/// well.
pub fn cms(data: &Bytes) -> Bytes {
    if data.first() == Some(&0x30) {
        return data.clone();
    }
    let text = match block(data) {
        Some((_, block)) => {
            let begin = memchr::memchr(b'\n', &block).unwrap_or_default();
            let end = memchr::memmem::rfind(&block, b"\n-----END").unwrap_or_default();
            let lines = block.get(begin..end).unwrap_or_default();
            data.slice_ref(lines)
        }
        None => data.clone(),
    };
    match forgiving_decode_to_vec(&text) {
        Ok(der) => Bytes::from(der),
        Err(_) => data.clone(),
    }
}

/// A CMS object in armor or not.
pub fn written(der: Vec<u8>, label: &str, form: Form) -> Vec<u8> {
    if form == Form::Binary {
        return der;
    }
    let mut out = format!("-----BEGIN {label}-----\n").into_bytes();
    for line in der.chunks(LINE) {
        STANDARD.encode_append(line, &mut out);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{block, cms, written};
    use crate::verbs::gpgme::Form;

    #[test]
    fn armor_is_found_in_a_text() {
        for (text, found) in [
            (
                "x\n-----BEGIN A-----\ny\n-----END A-----\nz",
                Some(("A", "-----BEGIN A-----\ny\n-----END A-----")),
            ),
            (
                "-----BEGIN A-----\r\ny\r\n-----END A-----",
                Some(("A", "-----BEGIN A-----\r\ny\r\n-----END A-----")),
            ),
            ("x -----BEGIN A-----\ny\n-----END A-----\n", None),
            ("-----BEGIN A-----\ny\n-----END B-----\n", None),
            (
                "-----BEGIN PGP SIGNED MESSAGE-----\n\n-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----\nx",
                Some((
                    "PGP SIGNED MESSAGE",
                    "-----BEGIN PGP SIGNED MESSAGE-----\n\n-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----",
                )),
            ),
            ("", None),
        ] {
            let data = Bytes::copy_from_slice(text.as_bytes());
            let block = block(&data);
            let block = block
                .as_ref()
                .map(|(label, block)| (label.as_str(), std::str::from_utf8(block).unwrap()));
            assert_eq!(block, found, "{text:?}");
        }
    }

    #[test]
    fn armor_of_cms_goes_both_ways() {
        let der: Vec<u8> = [0x30].into_iter().chain(0..=255).collect();
        let armored = written(der.clone(), "SIGNED MESSAGE", Form::Armored);
        assert!(
            armored
                .split(|byte| *byte == b'\n')
                .all(|line| line.len() <= 64)
        );
        for data in [&armored, &der] {
            assert_eq!(cms(&Bytes::copy_from_slice(data)), der);
        }
        assert_eq!(cms(&Bytes::from_static(b"junk!")), "junk!");
    }
}
