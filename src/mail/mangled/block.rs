//! Armored blocks: the base64 out of whatever became of their lines (RFC 9580 6.2).

use super::mark::{Glyph, glyphs, lines, quotes};
use crate::mail::armor::SegmentKind;

/// The most lines that the armor headers of a block take, folded ones included.
const HEADER_LINES_MAX: usize = 64;

/// Data that follows a header in its line is one word of this length at least; names, versions
/// and key ids are shorter.
const WORD: usize = 40;

/// As many characters stand in a line of armor.
const WIDTH: usize = 64;

/// The label of a kind, without the dashes around it.
fn label(kind: SegmentKind) -> Option<&'static str> {
    match kind {
        SegmentKind::Message => Some("MESSAGE"),
        SegmentKind::PublicKey => Some("PUBLIC KEY BLOCK"),
        SegmentKind::PrivateKey => Some("PRIVATE KEY BLOCK"),
        SegmentKind::Signature => Some("SIGNATURE"),
        SegmentKind::Plain | SegmentKind::Cleartext => None,
    }
}

/// A block of this kind with what stands between its marks; `None` when that is no armor. Its
/// headers are left out: they say nothing that anybody may rely on.
pub(super) fn armor(kind: SegmentKind, body: &[u8]) -> Option<Vec<u8>> {
    let label = label(kind)?;
    let base64 = base64(body)?;
    let (data, checksum) = apart(&base64);
    let mut out = Vec::with_capacity(base64.len() / WIDTH * (WIDTH + 2) + 256);
    out.extend_from_slice(format!("-----BEGIN PGP {label}-----\r\n\r\n").as_bytes());
    for line in data
        .chunks(WIDTH)
        .chain((!checksum.is_empty()).then_some(checksum))
    {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("-----END PGP {label}-----").as_bytes());
    Some(out)
}

/// The data of a block and its checksum, in one.
fn base64(body: &[u8]) -> Option<Vec<u8>> {
    // Those that may be headers, and what is behind them.
    let mut head: Vec<Vec<u8>> = Vec::new();
    let mut data = Vec::new();
    for line in lines(body).map(clean) {
        match head.len() < HEADER_LINES_MAX {
            // Of several empty lines one is enough.
            true if line.is_empty() && head.last().is_none_or(Vec::is_empty) => {}
            true => head.push(line),
            false if line.iter().all(|byte| is_data(*byte)) => append(&mut data, &line),
            false => return None,
        }
    }
    let joined = |lines: &[Vec<u8>]| {
        let mut all = Vec::with_capacity(body.len());
        lines.iter().for_each(|line| append(&mut all, line));
        all.extend_from_slice(&data);
        all
    };
    let mut forms = Vec::new();
    match head
        .iter()
        .rposition(|line| !line.iter().all(|byte| is_data(*byte)))
    {
        None => forms.push(joined(&head)),
        Some(last) => {
            // Words that are no header don't belong there, and nothing is left out unseen.
            head.first().filter(|line| line.contains(&b':'))?;
            let (headers, rest) = head.split_at_checked(last + 1)?;
            let is_line = |line: &Vec<u8>| line.len() >= WORD && is_word(line);
            if headers.iter().any(is_line) {
                return None;
            }
            // The last words of a folded header may look like data: an empty line tells. It
            // may be lost, and so may be the end of the header's line.
            if let Some(empty) = rest.iter().position(Vec::is_empty).filter(|at| *at > 0) {
                forms.push(joined(rest.get(empty..)?));
            }
            forms.push(joined(rest));
            let words = headers.last()?.split(|byte| *byte == b' ');
            let words = words.skip_while(|word| !word.contains(&b':')).skip(1);
            let short = |word: &&[u8]| word.len() < WORD || !is_word(word);
            let words: Vec<&[u8]> = words.skip_while(short).collect();
            if !words.is_empty() {
                let mut form = words.concat();
                form.extend(joined(rest));
                forms.push(form);
            }
        }
    }
    forms.retain(|form| is_plausible(form));
    let matching = match forms.len() {
        0 => return None,
        1 => 0,
        // RFC 9580 6.1: a wrong checksum is no reason to refuse what is there.
        _ => forms
            .iter()
            .position(|form| checksum_fits(form))
            .unwrap_or(0),
    };
    Some(forms.swap_remove(matching))
}

/// A line without what quotes or indents it and without what has no width.
fn clean(line: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(line.len());
    for (glyph, _) in glyphs(line) {
        match glyph {
            Glyph::Nothing => {}
            Glyph::Blank if clean.is_empty() => {}
            Glyph::Blank => clean.push(b' '),
            // Quoted lines may be joined.
            Glyph::Byte(byte) if quotes(byte) && clean.last().is_none_or(|b| *b == b' ') => {}
            Glyph::Byte(byte) => clean.push(byte),
        }
    }
    clean.truncate(clean.trim_ascii_end().len());
    clean
}

fn is_data(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b' ')
}

fn is_word(word: &[u8]) -> bool {
    word.iter().all(|byte| is_data(*byte) && *byte != b' ')
}

fn append(data: &mut Vec<u8>, line: &[u8]) {
    data.extend(line.iter().filter(|byte| **byte != b' '));
}

/// The data, and the checksum with its equals sign where there is one: data never has four
/// characters behind padding.
fn apart(base64: &[u8]) -> (&[u8], &[u8]) {
    match base64.split_last_chunk::<5>() {
        Some((data, [b'=', sum @ ..])) if !sum.contains(&b'=') => base64.split_at(data.len()),
        _ => (base64, &[]),
    }
}

/// Whether it can be read, and begins like an OpenPGP packet.
fn is_plausible(base64: &[u8]) -> bool {
    let (data, _) = apart(base64);
    let engine = base64_simd::STANDARD;
    let head = data
        .get(..4)
        .and_then(|head| engine.decode_to_vec(head).ok());
    let begins = head.is_some_and(|head| head.first().is_some_and(|first| first & 0x80 != 0));
    begins && engine.check(data).is_ok()
}

/// Whether the checksum is there and is that of the data (RFC 9580 6.1.1).
fn checksum_fits(base64: &[u8]) -> bool {
    let (data, checksum) = apart(base64);
    let engine = base64_simd::STANDARD;
    let Some([b'=', sum @ ..]) = checksum.first_chunk::<5>() else {
        return false;
    };
    let (Ok(data), Ok(sum)) = (engine.decode_to_vec(data), engine.decode_to_vec(sum)) else {
        return false;
    };
    let mut crc: u32 = 0x00b7_04ce;
    for byte in data {
        crc ^= u32::from(byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    crc.to_be_bytes().get(1..) == Some(sum.as_slice())
}
