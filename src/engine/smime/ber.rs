//! BER taken apart: definite and indefinite lengths, constructed strings joined, and nothing
//! copied that need not be. Not a validator: what a structure means is told elsewhere.
//!
//! Four of five CMS objects in real mail are no DER: Outlook, iOS and Bouncy Castle stream
//! with indefinite lengths and strings in pieces (X.690 8).

use bytes::Bytes;
use const_oid::ObjectIdentifier;

use crate::base::error::{Error, Result};

/// Levels inside levels. CMS has about ten; a reader that follows a thousand is a victim.
const DEPTH_MAX: usize = 64;

/// Elements side by side: the segments of 160 MiB in pieces of a kilobyte, with room.
const SIBLINGS_MAX: usize = 1 << 18;

/// The largest element that is written anew as DER: a certificate with a photograph.
const DER_MAX: usize = 1 << 20;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The bit that says that an element holds others.
const CONSTRUCTED: u8 = 0x20;

/// One element: a view into what it was read from.
#[derive(Debug, Clone)]
pub(super) struct Element {
    tag: u8,
    whole: Bytes,
    content: Bytes,
    indefinite: bool,
}

/// The one element that `data` is.
///
/// # Errors
/// `message.malformed`, also for anything behind it.
pub(super) fn one(data: &Bytes) -> Result<Element> {
    let (element, rest) = next(data)?;
    match rest.is_empty() {
        true => Ok(element),
        false => Err(broken()),
    }
}

/// The error for what is no BER, or not what CMS wants there.
pub(super) fn broken() -> Error {
    Error::malformed("this is not a whole CMS object; get the message again")
}

impl Element {
    /// The identifier octet.
    pub(super) fn tag(&self) -> u8 {
        self.tag
    }

    /// Whether it has this tag. Strings may be in pieces.
    pub(super) fn is(&self, tag: u8) -> bool {
        self.tag == tag || self.tag & !CONSTRUCTED == tag && tag & CONSTRUCTED == 0
    }

    /// As it came, tag and length included.
    pub(super) fn whole(&self) -> &Bytes {
        &self.whole
    }

    /// What is in it, without tag, length and end.
    pub(super) fn content(&self) -> &Bytes {
        &self.content
    }

    /// The elements in it.
    ///
    /// # Errors
    /// `message.malformed`; `limit.exceeded` for too many.
    pub(super) fn children(&self) -> Result<Vec<Element>> {
        self.walk().collect()
    }

    fn walk(&self) -> Children {
        Children {
            rest: match self.tag & CONSTRUCTED {
                0 => None,
                _ => Some(self.content.clone()),
            },
            left: SIBLINGS_MAX,
        }
    }

    /// The bytes of an OCTET STRING, however it is tagged: a view where it is in one piece,
    /// else a copy of all pieces.
    ///
    /// # Errors
    /// `message.malformed`; `limit.exceeded`.
    pub(super) fn octets(&self) -> Result<Bytes> {
        if self.tag & CONSTRUCTED == 0 {
            return Ok(self.content.clone());
        }
        let mut walk = self.walk();
        let first = match walk.next() {
            None => return Ok(Bytes::new()),
            Some(first) => first?,
        };
        let mut joined = Vec::new();
        match walk.next() {
            None => return first.octets_within(1),
            Some(second) => {
                joined.reserve_exact(self.content.len());
                first.join(&mut joined, 1)?;
                second?.join(&mut joined, 1)?;
            }
        }
        for piece in walk {
            piece?.join(&mut joined, 1)?;
        }
        Ok(joined.into())
    }

    fn octets_within(&self, depth: usize) -> Result<Bytes> {
        if self.tag == OCTET_STRING {
            return Ok(self.content.clone());
        }
        let mut joined = Vec::with_capacity(self.content.len());
        self.join(&mut joined, depth)?;
        Ok(joined.into())
    }

    fn join(&self, joined: &mut Vec<u8>, depth: usize) -> Result<()> {
        match self.tag {
            OCTET_STRING => joined.extend_from_slice(&self.content),
            tag if tag == OCTET_STRING | CONSTRUCTED && depth < DEPTH_MAX => {
                for piece in self.walk() {
                    piece?.join(joined, depth + 1)?;
                }
            }
            _ => return Err(broken()),
        }
        Ok(())
    }

    /// The same value as DER, as far as lengths and pieces go: no SET is sorted.
    ///
    /// # Errors
    /// `message.malformed`; `limit.exceeded` for what is larger than a certificate can be.
    pub(super) fn der(&self) -> Result<Vec<u8>> {
        if self.whole.len() > DER_MAX {
            return Err(Error::limit(
                "element",
                "a field in this is larger than any real one; ask the sender for another form",
            ));
        }
        let mut out = Vec::with_capacity(self.whole.len());
        self.write(&mut out, 0)?;
        Ok(out)
    }

    fn write(&self, out: &mut Vec<u8>, depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(broken());
        }
        if self.tag & CONSTRUCTED == 0 {
            header(self.tag, self.content.len(), out);
            out.extend_from_slice(&self.content);
            return Ok(());
        }
        if self.tag == OCTET_STRING | CONSTRUCTED {
            let octets = self.octets()?;
            header(OCTET_STRING, octets.len(), out);
            out.extend_from_slice(&octets);
            return Ok(());
        }
        let mut inside = Vec::with_capacity(self.content.len());
        for child in self.walk() {
            child?.write(&mut inside, depth + 1)?;
        }
        header(self.tag, inside.len(), out);
        out.extend_from_slice(&inside);
        Ok(())
    }

    /// As it came, under another tag: what is hashed of implicitly tagged attributes. DER
    /// where the length is not definite.
    ///
    /// # Errors
    /// As [`Element::der`].
    pub(super) fn retagged(&self, tag: u8) -> Result<Vec<u8>> {
        let mut bytes = match self.indefinite {
            true => self.der()?,
            false => self.whole.to_vec(),
        };
        if let Some(first) = bytes.first_mut() {
            *first = tag;
        }
        Ok(bytes)
    }
}

/// An element out of the parts of its content.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 8);
    header(tag, length, &mut out);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// An object identifier.
pub(super) fn object(oid: ObjectIdentifier) -> Vec<u8> {
    element(OID, &[oid.as_bytes()])
}

/// A number.
pub(super) fn integer(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let skip = bytes.iter().take(3).take_while(|b| **b == 0).count();
    let digits = bytes.get(skip..).unwrap_or_default();
    let sign: &[u8] = match digits.first() {
        Some(first) if *first & 0x80 != 0 => &[0],
        _ => &[],
    };
    element(INTEGER, &[sign, digits])
}

/// A SET OF, its elements in DER's order (X.690 11.6).
pub(super) fn set_of(tag: u8, mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort_unstable();
    let parts: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    element(tag, &parts)
}

/// An AlgorithmIdentifier; `parameters` is DER, or empty.
pub(super) fn algorithm(oid: ObjectIdentifier, parameters: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&object(oid), parameters])
}

/// DER's NULL.
pub(super) const NULL: &[u8] = &[5, 0];

/// Writes a tag and a definite length.
pub(super) fn header(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let skip = bytes.iter().take_while(|b| **b == 0).count();
            let used = bytes.get(skip..).unwrap_or_default();
            out.push(0x80 | u8::try_from(used.len()).unwrap_or(8));
            out.extend_from_slice(used);
        }
    }
}

/// One element after the other.
struct Children {
    rest: Option<Bytes>,
    left: usize,
}

impl Iterator for Children {
    type Item = Result<Element>;

    fn next(&mut self) -> Option<Result<Element>> {
        let rest = self.rest.take().filter(|rest| !rest.is_empty())?;
        if self.left == 0 {
            return Some(Err(Error::limit(
                "elements",
                "this has more pieces than any real message; ask the sender for another form",
            )));
        }
        self.left -= 1;
        match next(&rest) {
            Ok((element, rest)) => {
                self.rest = Some(rest);
                Some(Ok(element))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// What stands before an element's content.
struct Header {
    tag: u8,
    /// Of tag and length together.
    size: usize,
    /// `None`: until its end-of-contents.
    length: Option<usize>,
}

fn read_header(data: &[u8]) -> Result<Header> {
    let tag = *data.first().ok_or_else(broken)?;
    let first = *data.get(1).ok_or_else(broken)?;
    // Tags above 30 take more octets; CMS has none.
    if tag & 0x1F == 0x1F {
        return Err(broken());
    }
    let (size, length) = match first {
        0x80 if tag & CONSTRUCTED != 0 => (2, None),
        0..0x80 => (2, Some(usize::from(first))),
        0x81..=0xFE => {
            let count = usize::from(first & 0x7F);
            let digits = data.get(2..2 + count).ok_or_else(broken)?;
            let mut length = 0_usize;
            for digit in digits {
                length = length
                    .checked_mul(256)
                    .and_then(|length| length.checked_add(usize::from(*digit)))
                    .ok_or_else(broken)?;
            }
            (2 + count, Some(length))
        }
        _ => return Err(broken()),
    };
    if let Some(length) = length
        && data.len() - size < length
    {
        return Err(broken());
    }
    Ok(Header { tag, size, length })
}

/// The first element of `data`, and what follows it.
fn next(data: &Bytes) -> Result<(Element, Bytes)> {
    let head = read_header(data)?;
    let (content, end) = match head.length {
        Some(length) => (length, head.size + length),
        None => {
            let length = until_end(data.get(head.size..).unwrap_or_default())?;
            (length, head.size + length + 2)
        }
    };
    let element = Element {
        tag: head.tag,
        whole: data.slice(..end),
        content: data.slice(head.size..head.size + content),
        indefinite: head.length.is_none(),
    };
    Ok((element, data.slice(end..)))
}

/// How many bytes there are before the end-of-contents that belongs to what has just begun.
fn until_end(data: &[u8]) -> Result<usize> {
    let mut at = 0_usize;
    let mut open = 1_usize;
    loop {
        let rest = data.get(at..).ok_or_else(broken)?;
        if rest.starts_with(&[0, 0]) {
            open -= 1;
            if open == 0 {
                return Ok(at);
            }
            at += 2;
            continue;
        }
        let head = read_header(rest)?;
        at += head.size;
        match head.length {
            Some(length) => at += length,
            None if open < DEPTH_MAX => open += 1,
            None => return Err(broken()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{OCTET_STRING, SEQUENCE, header, one};

    fn read(bytes: &[u8]) -> Option<super::Element> {
        one(&Bytes::copy_from_slice(bytes)).ok()
    }

    #[test]
    fn lengths_of_every_form_say_the_same() {
        for bytes in [
            &[0x30, 3, 4, 1, 7][..],
            &[0x30, 0x81, 3, 4, 1, 7],
            &[0x30, 0x84, 0, 0, 0, 3, 4, 1, 7],
            &[0x30, 0x80, 4, 1, 7, 0, 0],
            &[0x30, 0x80, 4, 0x82, 0, 1, 7, 0, 0],
            &[0x30, 0x80, 0x24, 0x80, 4, 1, 7, 0, 0, 0, 0],
            &[0x30, 0x80, 0x24, 0x80, 0x24, 3, 4, 1, 7, 4, 0, 0, 0, 0, 0],
        ] {
            let element = read(bytes).unwrap();
            assert!(element.is(SEQUENCE), "{bytes:x?}");
            let inner = element.children().unwrap().remove(0);
            assert!(inner.is(OCTET_STRING));
            assert_eq!(inner.octets().unwrap().as_ref(), &[7], "{bytes:x?}");
            assert_eq!(element.der().unwrap(), [0x30, 3, 4, 1, 7], "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_no_element_is_refused() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x80, 0],
            &[0x30, 1],
            &[0x30, 0xFF, 0],
            &[0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x30, 0x88, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x04, 0x80, 0, 0],
            &[0x3F, 1, 0],
            &[0x30, 0, 0],
        ] {
            assert!(read(bytes).is_none(), "{bytes:x?}");
        }
        assert!(read(&[0x30, 0x80].repeat(100_000)).is_none());
        let mut deep = [0x30, 0x80].repeat(60);
        deep.extend_from_slice(&[0; 120]);
        assert!(read(&deep).is_some());
    }

    #[test]
    fn one_piece_is_not_copied_and_many_are_joined_once() {
        let data = Bytes::from([&[0x24, 0x80, 4, 4][..], &[9; 4], &[0, 0]].concat());
        let octets = one(&data).unwrap().octets().unwrap();
        assert!(data.as_ptr_range().contains(&octets.as_ptr()));
        let mut pieces = vec![0x24, 0x80];
        for n in 0..1000_u32 {
            header(OCTET_STRING, 4, &mut pieces);
            pieces.extend_from_slice(&n.to_be_bytes());
        }
        pieces.extend_from_slice(&[0, 0]);
        let joined = read(&pieces).unwrap().octets().unwrap();
        assert_eq!(joined.len(), 4000);
        assert_eq!(joined.get(3996..).unwrap(), 999_u32.to_be_bytes());
        // Anything else among the pieces is no string.
        assert!(read(&[0x24, 4, 4, 0, 2, 0]).unwrap().octets().is_err());
    }

    #[test]
    fn lengths_are_written_short() {
        for (length, wanted) in [
            (0_usize, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (256, &[4, 0x82, 1, 0]),
            (1 << 24, &[4, 0x84, 1, 0, 0, 0]),
        ] {
            let mut out = Vec::new();
            header(4, length, &mut out);
            assert_eq!(out, wanted);
        }
    }
}
