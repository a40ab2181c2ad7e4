//! Canonical S-expressions, as GnuPG's agent speaks them: `(4:name5:value)`.

/// The deepest nesting: what the agent says has three.
const DEEP: usize = 8;

/// The most elements in all.
const MANY: usize = 64;

/// One expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expression<'a> {
    Bytes(&'a [u8]),
    List(Vec<Expression<'a>>),
}

impl<'a> Expression<'a> {
    /// The list that begins with this name: this one, or one inside it.
    pub(super) fn named(&self, name: &str) -> Option<&Expression<'a>> {
        let Expression::List(list) = self else {
            return None;
        };
        if list.first() == Some(&Expression::Bytes(name.as_bytes())) {
            return Some(self);
        }
        list.iter().skip(1).find(|inner| match inner {
            Expression::List(inner) => inner.first() == Some(&Expression::Bytes(name.as_bytes())),
            Expression::Bytes(_) => false,
        })
    }

    /// The bytes themselves, or those after a list's name.
    pub(super) fn value(&self) -> Option<&'a [u8]> {
        match self {
            Expression::Bytes(bytes) => Some(bytes),
            Expression::List(list) => match list.get(1) {
                Some(Expression::Bytes(bytes)) => Some(bytes),
                _ => None,
            },
        }
    }
}

/// Reads one expression. What follows it does not count: the agent ends some with a zero byte.
pub(super) fn read(bytes: &[u8]) -> Option<Expression<'_>> {
    let mut left = MANY;
    one(bytes, DEEP, &mut left).map(|(expression, _)| expression)
}

fn one<'a>(bytes: &'a [u8], deep: usize, left: &mut usize) -> Option<(Expression<'a>, &'a [u8])> {
    *left = left.checked_sub(1)?;
    let Some(mut rest) = bytes.strip_prefix(b"(") else {
        let colon = bytes.iter().take(8).position(|byte| *byte == b':')?;
        let (digits, after) = bytes.split_at_checked(colon)?;
        let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let (value, rest) = after.get(1..)?.split_at_checked(length)?;
        return Some((Expression::Bytes(value), rest));
    };
    let deep = deep.checked_sub(1)?;
    let mut list = Vec::new();
    loop {
        if let Some(rest) = rest.strip_prefix(b")") {
            return Some((Expression::List(list), rest));
        }
        let (expression, after) = one(rest, deep, left)?;
        list.push(expression);
        rest = after;
    }
}

/// An encrypted value with its numbers.
pub(super) fn value(algorithm: &str, numbers: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"(7:enc-val(".to_vec();
    atom(&mut bytes, algorithm.as_bytes());
    for (name, number) in numbers {
        bytes.push(b'(');
        atom(&mut bytes, name.as_bytes());
        atom(&mut bytes, number);
        bytes.push(b')');
    }
    bytes.extend_from_slice(b"))");
    bytes
}

fn atom(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(format!("{}:", value.len()).as_bytes());
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let written = value("ecdh", &[("s", b"(:)"), ("e", b"\x00\x01")]);
        let read = read(&written).unwrap();
        let list = read.named("enc-val").unwrap().named("ecdh").unwrap();
        assert_eq!(list.named("s").unwrap().value(), Some(&b"(:)"[..]));
        assert_eq!(list.named("e").unwrap().value(), Some(&b"\x00\x01"[..]));
        assert!(list.named("x").is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        let deep = "(".repeat(1000);
        let many = format!("({})", "0:".repeat(1000));
        for text in [
            "",
            "(",
            "3:ab",
            "99999999:a",
            "(3:abc",
            "x:a",
            "-1:",
            &deep,
            &many,
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text:.20}");
        }
        assert_eq!(read(b"3:abc\0"), Some(Expression::Bytes(b"abc")));
    }
}
