//! ASCII armor (RFC 9580 6), read and written at memory speed: lines by memchr, base64 by SIMD.
//!
//! Not here: what the armored bytes mean, and cleartext signature frames
//! ([`super::cleartext`]).

use std::io;

use bytes::Bytes;

use crate::base::error::{Error, Result};
use crate::base::extra::Output;

/// What stands in an armor's header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Signature,
    PublicKey,
    PrivateKey,
}

impl Kind {
    const ALL: [Kind; 4] = [
        Kind::Message,
        Kind::Signature,
        Kind::PublicKey,
        Kind::PrivateKey,
    ];

    fn label(self) -> &'static str {
        match self {
            Kind::Message => "PGP MESSAGE",
            Kind::Signature => "PGP SIGNATURE",
            Kind::PublicKey => "PGP PUBLIC KEY BLOCK",
            Kind::PrivateKey => "PGP PRIVATE KEY BLOCK",
        }
    }

    fn of_line(line: &[u8], verb: &str) -> Option<Kind> {
        let inner = line.strip_prefix(b"-----")?.strip_suffix(b"-----")?;
        let label = inner.strip_prefix(verb.as_bytes())?;
        Kind::ALL
            .into_iter()
            .find(|kind| kind.label().as_bytes() == label)
    }
}

/// The most armor headers that one block may have: real ones have four at most.
const HEADERS_MAX: usize = 32;

/// The most blocks that are read out of one text, as many as a keyring file may hold.
const BLOCKS_MAX: usize = 20_000;

/// One armored block.
pub(super) struct Block {
    pub kind: Kind,
    pub bytes: Vec<u8>,
}

/// The packets of one object: `data` itself where it is binary, else the content of the only
/// armored block in it, which must be one of `kinds` with nothing but white space around it.
///
/// # Errors
/// `message.malformed`.
pub(super) fn one(data: &Bytes, kinds: &[Kind]) -> Result<Bytes> {
    if is_binary(data) {
        return Ok(data.clone());
    }
    let (block, rest) = block(start(data))?;
    if !kinds.contains(&block.kind) {
        return Err(Error::malformed(
            "the armor holds another kind of OpenPGP data than is expected here",
        ));
    }
    if !rest.trim_ascii().is_empty() {
        return Err(Error::malformed(
            "there is something behind the end of the armor; nothing but the armor may be here",
        ));
    }
    Ok(Bytes::from(block.bytes))
}

/// Every armored block in a text, whatever stands between them.
///
/// # Errors
/// `message.malformed` when a block can't be read; `limit.exceeded`.
pub(super) fn blocks(data: &[u8]) -> Result<Vec<Block>> {
    let mut found = Vec::new();
    let mut rest = data;
    while let Some(at) = memchr::memmem::find(rest, b"-----BEGIN PGP ") {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        let own_line = before.last().is_none_or(|b| matches!(b, b'\n' | b'\r'));
        let (line, after) = split_line(from);
        if !own_line || Kind::of_line(line, "BEGIN ").is_none() {
            rest = after;
            continue;
        }
        let (one, after) = block(from)?;
        found.push(one);
        rest = after;
        if found.len() > BLOCKS_MAX {
            return Err(Error::limit(
                "armored-blocks",
                "there are too many armored blocks in this; split it up",
            ));
        }
    }
    Ok(found)
}

/// OpenPGP packets start with a byte whose highest bit is set, armor never does.
pub(super) fn is_binary(data: &[u8]) -> bool {
    start(data).first().is_some_and(|byte| byte & 0x80 != 0)
}

/// Without a byte order mark and leading white space, where text follows.
fn start(data: &[u8]) -> &[u8] {
    let text = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(data);
    let trimmed = text.trim_ascii_start();
    if trimmed.first() == Some(&b'-') {
        trimmed
    } else {
        data
    }
}

/// Reads the block that starts `text`, and gives what follows it.
fn block(text: &[u8]) -> Result<(Block, &[u8])> {
    let broken = || Error::malformed("the armor is damaged; get the message again");
    let (line, mut rest) = split_line(text);
    let kind = Kind::of_line(line, "BEGIN ").ok_or_else(broken)?;
    let mut headers = 0;
    loop {
        let (line, after) = split_line(rest);
        if after.len() == rest.len() {
            return Err(broken());
        }
        if line.is_empty() {
            rest = after;
            break;
        }
        // Some mail programs lose the empty line: what is no header is data already.
        if memchr::memchr(b':', line).is_none() {
            break;
        }
        headers += 1;
        if headers > HEADERS_MAX {
            return Err(broken());
        }
        rest = after;
    }
    let mut bytes = Vec::with_capacity(rest.len());
    let mut checksum = false;
    let rest = loop {
        let (line, after) = split_line(rest);
        if after.len() == rest.len() {
            return Err(broken());
        }
        match line.first() {
            Some(b'-') => {
                if Kind::of_line(line, "END ") != Some(kind) {
                    return Err(broken());
                }
                break after;
            }
            // RFC 9580 6.1: a checksum, right or wrong, is not a reason to refuse anything.
            Some(b'=') if line.len() == 5 && !checksum => checksum = true,
            Some(_) if checksum => return Err(broken()),
            Some(_) => bytes.extend_from_slice(line),
            None => {}
        }
        rest = after;
    };
    let length = base64_simd::STANDARD
        .decode_inplace(&mut bytes)
        .map_err(|_| broken())?
        .len();
    bytes.truncate(length);
    bytes.shrink_to_fit();
    Ok((Block { kind, bytes }, rest))
}

/// The first line without its end and without white space at its end, and what follows it.
/// The rest has the text's own length when there was nothing at all.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', text) {
        Some(end) => {
            let (line, rest) = text.split_at_checked(end + 1).unwrap_or((text, &[]));
            (line.trim_ascii_end(), rest)
        }
        None => (text.trim_ascii_end(), &[]),
    }
}

/// How many bytes make one line of 64 characters.
const LINE: usize = 48;

/// Writes armor with CRLF line ends and without headers.
///
/// With a checksum where GnuPG 2.2 may be the reader: without one it misses the end of a block
/// whose last line needs no padding. Version 6 objects get none (RFC 9580 6.1).
pub(super) struct Writer {
    kind: Kind,
    out: Vec<u8>,
    /// The bytes of a line that is not full yet.
    held: Vec<u8>,
    /// The CRC-24 so far; `None` once the first packet has said that there is to be none.
    checksum: Option<u32>,
}

impl Writer {
    /// Begins a block whose content will be about `expected` bytes long.
    pub(super) fn new(kind: Kind, expected: usize) -> Writer {
        let mut out = Vec::with_capacity(expected / LINE * 66 + expected / 64 + 512);
        out.extend_from_slice(b"-----BEGIN ");
        out.extend_from_slice(kind.label().as_bytes());
        out.extend_from_slice(b"-----\r\n\r\n");
        Writer {
            kind,
            out,
            held: Vec::with_capacity(LINE),
            checksum: Some(CRC24_INIT),
        }
    }

    fn line(&mut self, bytes: &[u8]) {
        if let Some(crc) = self.checksum {
            let first = crc == CRC24_INIT;
            self.checksum = (!first || !is_v6(bytes)).then(|| crc24(crc, bytes));
        }
        base64_simd::STANDARD.encode_append(bytes, &mut self.out);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Ends the block.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.line(&held);
        }
        if let Some(crc) = self.checksum {
            let [_, sum @ ..] = crc.to_be_bytes();
            self.out.push(b'=');
            base64_simd::STANDARD.encode_append(sum, &mut self.out);
            self.out.extend_from_slice(b"\r\n");
        }
        self.out.extend_from_slice(b"-----END ");
        self.out.extend_from_slice(self.kind.label().as_bytes());
        self.out.extend_from_slice(b"-----\r\n");
        self.out
    }
}

impl io::Write for Writer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut rest = data;
        if !self.held.is_empty() {
            let missing = LINE.saturating_sub(self.held.len()).min(rest.len());
            let (head, tail) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
            self.held.extend_from_slice(head);
            rest = tail;
            if self.held.len() == LINE {
                let held = std::mem::take(&mut self.held);
                self.line(&held);
            }
        }
        let mut lines = rest.chunks_exact(LINE);
        for line in &mut lines {
            self.line(line);
        }
        self.held.extend_from_slice(lines.remainder());
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the packet that starts here belongs to RFC 9580's new generation: a version 6 key,
/// signature or session key, or encrypted data of version 2.
fn is_v6(bytes: &[u8]) -> bool {
    let body = match bytes {
        [first, length, rest @ ..] if first & 0xc0 == 0xc0 => match length {
            0..192 | 224..255 => rest,
            192..224 => rest.get(1..).unwrap_or_default(),
            255 => rest.get(4..).unwrap_or_default(),
        },
        [first, rest @ ..] => match first & 3 {
            0 => rest.get(1..).unwrap_or_default(),
            1 => rest.get(2..).unwrap_or_default(),
            2 => rest.get(4..).unwrap_or_default(),
            _ => rest,
        },
        [] => return false,
    };
    let seipd = bytes.first().is_some_and(|first| *first == 0xc0 | 18);
    match body.first() {
        Some(version) if seipd => *version == 2,
        Some(version) => *version == 6,
        None => false,
    }
}

/// RFC 9580 6.1.1.
const CRC24_INIT: u32 = 0x00B7_04CE;

/// What each byte does to the checksum, at eight distances from its end: one byte at a time
/// would cost more than all the rest of writing armor.
#[allow(
    clippy::indexing_slicing,
    reason = "the compiler runs it, and would refuse"
)]
const CRC24: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        // The checksum stands in the upper three bytes.
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 != 0 {
                (crc << 1) ^ (0x0086_4CFB << 8)
            } else {
                crc << 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut distance = 1;
    while distance < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[distance - 1][byte];
            tables[distance][byte] = (before << 8) ^ tables[0][(before >> 24) as usize];
            byte += 1;
        }
        distance += 1;
    }
    tables
};

fn crc24(crc: u32, bytes: &[u8]) -> u32 {
    let step = |distance: usize, byte: u8| {
        CRC24
            .get(distance)
            .and_then(|table| table.get(usize::from(byte)))
            .copied()
            .expect("eight tables of 256")
    };
    let mut crc = crc << 8;
    let (eights, rest) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in eights {
        let [w, x, y, _] = crc.to_be_bytes();
        crc = step(7, a ^ w)
            ^ step(6, b ^ x)
            ^ step(5, c ^ y)
            ^ step(4, *d)
            ^ step(3, *e)
            ^ step(2, *f)
            ^ step(1, *g)
            ^ step(0, *h);
    }
    for byte in rest {
        let [top, ..] = crc.to_be_bytes();
        crc = (crc << 8) ^ step(0, top ^ byte);
    }
    crc >> 8
}

/// Where an object is written to, in the form that is asked for.
pub(super) enum Sink {
    Armored(Writer),
    Binary(Vec<u8>),
}

impl Sink {
    /// Begins an object whose content will be about `expected` bytes long.
    pub(super) fn new(output: Output, kind: Kind, expected: usize) -> Sink {
        match output {
            Output::Armored => Sink::Armored(Writer::new(kind, expected)),
            Output::Binary => Sink::Binary(Vec::with_capacity(expected)),
        }
    }

    /// `bytes` as one object.
    pub(super) fn of(output: Output, kind: Kind, bytes: &[u8]) -> Vec<u8> {
        match output {
            Output::Armored => armored(kind, bytes),
            Output::Binary => bytes.to_vec(),
        }
    }

    /// Ends the object.
    pub(super) fn finish(self) -> Vec<u8> {
        match self {
            Sink::Armored(writer) => writer.finish(),
            Sink::Binary(bytes) => bytes,
        }
    }
}

impl io::Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Armored(writer) => writer.write(data),
            Sink::Binary(bytes) => bytes.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `bytes` as one armored block.
pub(super) fn armored(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(kind, bytes.len());
    let mut lines = bytes.chunks(LINE);
    lines.by_ref().for_each(|line| writer.line(line));
    writer.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The check value of CRC-24/OPENPGP.
        assert_eq!(crc24(CRC24_INIT, b"123456789"), 0x0021_CF02);
        let long: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let split = long.chunks(7).fold(CRC24_INIT, crc24);
        assert_eq!(crc24(CRC24_INIT, &long), split);
    }

    #[test]
    fn version_6_has_no_checksum() {
        let old = armored(Kind::Signature, &[0xc2, 4, 4, 0, 1, 8]);
        assert!(old.windows(3).any(|w| w == b"\r\n="));
        for new in [
            &[0xc2, 4, 6, 0, 1, 8][..],
            &[0xc6, 255, 0, 0, 0, 1, 6],
            &[0xd2, 3, 2, 9, 2],
        ] {
            let new = armored(Kind::Message, new);
            assert!(!new.windows(3).any(|w| w == b"\r\n="));
        }
    }

    use super::*;

    fn read(text: &str) -> Result<Bytes> {
        one(&Bytes::copy_from_slice(text.as_bytes()), &[Kind::Message])
    }

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 47, 48, 49, 96, 1000] {
            let bytes: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let text = armored(Kind::Message, &bytes);
            assert_eq!(
                one(&Bytes::from(text.clone()), &[Kind::Message]).unwrap(),
                bytes
            );
            let mut writer = Writer::new(Kind::Message, length);
            for chunk in bytes.chunks(7) {
                writer.write_all(chunk).unwrap();
            }
            assert_eq!(writer.finish(), text);
        }
    }

    #[test]
    fn armor_as_it_is_out_there() {
        for text in [
            "-----BEGIN PGP MESSAGE-----\n\nAAEC\n-----END PGP MESSAGE-----",
            "-----BEGIN PGP MESSAGE-----\r\nVersion: x\r\nComment: y\r\n\r\nAAEC\r\n=abcd\r\n-----END PGP MESSAGE-----\r\n",
            "\n\n-----BEGIN PGP MESSAGE-----  \n \t\nAA \t\nEC\n\n-----END PGP MESSAGE-----  \n\n",
            "-----BEGIN PGP MESSAGE-----\nAAEC\n-----END PGP MESSAGE-----\n",
            "\u{FEFF}-----BEGIN PGP MESSAGE-----\n\nAAEC\n-----END PGP MESSAGE-----\n",
        ] {
            assert_eq!(read(text).unwrap().as_ref(), [0, 1, 2], "{text:?}");
        }
    }

    #[test]
    fn armor_that_is_refused() {
        let end = "-----END PGP MESSAGE-----\n";
        for text in [
            "",
            "-----BEGIN PGP MESSAGE-----",
            "-----BEGIN PGP MESSAGE-----\n\nAAEC\n",
            "-----BEGIN PGP MESSAGE-----\n\nAAEC\n-----END PGP SIGNATURE-----\n",
            &format!("-----BEGIN PGP SIGNATURE-----\n\nAAEC\n{end}"),
            &format!("-----BEGIN PGP MESSAGE-----\n\nAA*C\n{end}"),
            &format!("-----BEGIN PGP MESSAGE-----\n\nAAE=\nAAEC\n{end}"),
            &format!("-----BEGIN PGP MESSAGE-----\n\nAAEC\n=abcd\nAAEC\n{end}"),
            &format!("-----BEGIN PGP MESSAGE-----\n\nAAEC\n{end}more"),
            &format!(
                "-----BEGIN PGP MESSAGE-----\n\nAAEC\n{end}-----BEGIN PGP MESSAGE-----\n\nAAEC\n{end}"
            ),
            &format!("before\n-----BEGIN PGP MESSAGE-----\n\nAAEC\n{end}"),
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn blocks_between_other_text() {
        let text = "hello -----BEGIN PGP MESSAGE-----\nx\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAEC\n-----END PGP PUBLIC KEY BLOCK-----\nbye\n-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAw==\n-----END PGP PRIVATE KEY BLOCK-----";
        let found = blocks(text.as_bytes()).unwrap();
        let kinds: Vec<_> = found.iter().map(|b| b.kind).collect();
        assert_eq!(kinds, [Kind::PublicKey, Kind::PrivateKey]);
        assert_eq!(found[1].bytes, [3]);
    }
}
