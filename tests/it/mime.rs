//! Messages as mail clients wrap them (RFC 3156), written by hand: the product's own builder
//! takes no part in what the tests send it.

use std::fmt::Write as _;

/// The header fields of one letter, dated now: a verdict looks at the date. CRLF throughout.
pub fn head(from: &str, to: &str, subject: &str) -> String {
    dated_head(&chrono::Utc::now().to_rfc2822(), from, to, subject)
}

/// The header fields of one letter.
pub fn dated_head(date: &str, from: &str, to: &str, subject: &str) -> String {
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\n\
         Message-ID: <m1@mime.example>\r\nMIME-Version: 1.0\r\n"
    )
}

/// A text entity: what is signed or encrypted.
pub fn text(body: &str) -> String {
    format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}",
        crlf(body)
    )
}

/// `multipart/mixed` of entities.
pub fn mixed(entities: &[&str]) -> String {
    let mut out = String::from("Content-Type: multipart/mixed; boundary=\"mixed-1\"\r\n\r\n");
    for entity in entities {
        write!(out, "--mixed-1\r\n{entity}\r\n").unwrap();
    }
    out.push_str("--mixed-1--\r\n");
    out
}

/// `multipart/signed` around an entity.
pub fn signed(entity: &str, signature: &str, micalg: &str) -> String {
    format!(
        "Content-Type: multipart/signed; micalg={micalg}; \
         protocol=\"application/pgp-signature\"; boundary=\"signed-1\"\r\n\r\n\
         --signed-1\r\n{entity}\r\n--signed-1\r\n\
         Content-Type: application/pgp-signature; name=\"signature.asc\"\r\n\
         Content-Description: OpenPGP digital signature\r\n\r\n{}\r\n--signed-1--\r\n",
        crlf(signature.trim_end())
    )
}

/// `multipart/encrypted` around an armored message.
pub fn encrypted(armor: &str) -> String {
    format!(
        "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; \
         boundary=\"encrypted-1\"\r\n\r\n--encrypted-1\r\n\
         Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--encrypted-1\r\n\
         Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\n\
         Content-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n{}\r\n--encrypted-1--\r\n",
        crlf(armor.trim_end())
    )
}

/// A whole letter.
pub fn letter(from: &str, to: &str, subject: &str, entity: &str) -> Vec<u8> {
    format!("{}{entity}", head(from, to, subject)).into_bytes()
}

/// The signed entity and the signature of a `multipart/signed`, cut out byte for byte.
pub fn cut_signed(message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let text = std::str::from_utf8(message).unwrap();
    let at = text.find("multipart/signed").expect("multipart/signed");
    let rest = &text[at..];
    let rest = &rest[rest.find("boundary=").expect("a boundary") + 9..];
    let boundary = rest.strip_prefix('"').map_or_else(
        || rest.split([';', '\r', ' ']).next().unwrap(),
        |quoted| quoted.split('"').next().unwrap(),
    );
    let delimiter = format!("\r\n--{boundary}");
    let parts: Vec<&str> = text.split(&delimiter).collect();
    assert!(parts.len() >= 4, "three delimiters");
    let entity = parts[1].strip_prefix("\r\n").unwrap();
    let signature = parts[2].split_once("\r\n\r\n").unwrap().1;
    (entity.as_bytes().to_vec(), signature.as_bytes().to_vec())
}

/// The armored block in a message, as text.
pub fn block(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let start = text.find("-----BEGIN PGP").expect("an armored block");
    let end = start + text[start..].find("-----END PGP").expect("its end");
    let end = end + text[end + 5..].find("-----").unwrap() + 10;
    text[start..end].to_owned() + "\n"
}

/// Every line end as CRLF.
pub fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// The armored block in a message, dearmored: what lies between its first empty line and its
/// checksum or end.
pub fn dearmor(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let start = text.find("-----BEGIN PGP").expect("an armored block");
    let block = &text[start..];
    let end = block.find("-----END PGP").expect("its end");
    let block = block[..end].replace("\r\n", "\n");
    let (_, data) = block.split_once("\n\n").expect("armor header fields end");
    let data: String = data.lines().filter(|line| !line.starts_with('=')).collect();
    base64_simd::STANDARD.decode_to_vec(data).unwrap()
}

/// Binary packets as an armored message.
pub fn armor(bytes: &[u8], what: &str) -> String {
    let data = base64_simd::STANDARD.encode_to_string(bytes);
    let mut out = format!("-----BEGIN PGP {what}-----\n\n");
    for line in data.as_bytes().chunks(64) {
        out.push_str(std::str::from_utf8(line).unwrap());
        out.push('\n');
    }
    writeln!(out, "-----END PGP {what}-----").unwrap();
    out
}

/// The message with its armored block replaced by another one.
pub fn rearmored(message: &[u8], bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message).into_owned();
    let start = text.find("-----BEGIN PGP").unwrap();
    let end = start + text[start..].find("-----END PGP").unwrap();
    let end = end
        + text[end..]
            .find("-----\r\n")
            .map_or(text.len() - end, |n| n + 7);
    let block = crlf(&armor(bytes, "MESSAGE"));
    format!("{}{block}{}", &text[..start], &text[end..]).into_bytes()
}

/// The outer header section of a message.
pub fn head_of(message: &[u8]) -> String {
    let text = std::str::from_utf8(message).unwrap();
    text.split("\r\n\r\n").next().unwrap().to_owned()
}
