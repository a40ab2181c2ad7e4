//! The numbers of lists, as browsers count and write them (HTML 4.4.5).

/// The next number of a list, and what comes after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    pub next: i32,
    pub backwards: bool,
    pub kind: Kind,
}

/// What numbers are written with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Digits,
    Letters,
    Capitals,
    Roman,
    RomanCapitals,
}

impl Kind {
    /// What the attribute `type` says; its case counts.
    pub(super) fn of(text: &str) -> Option<Kind> {
        Some(match text {
            "1" => Kind::Digits,
            "a" => Kind::Letters,
            "A" => Kind::Capitals,
            "i" => Kind::Roman,
            "I" => Kind::RomanCapitals,
            _ => return None,
        })
    }
}

impl Default for Count {
    fn default() -> Count {
        Count {
            next: 1,
            backwards: false,
            kind: Kind::default(),
        }
    }
}

impl Count {
    /// The number that is next.
    pub(super) fn take(&mut self) -> String {
        let number = self.next;
        self.next = match self.backwards {
            true => number.saturating_sub(1),
            false => number.saturating_add(1),
        };
        let written = match self.kind {
            Kind::Digits => None,
            Kind::Letters => letters(number),
            Kind::Capitals => letters(number).map(|text| text.to_ascii_uppercase()),
            Kind::Roman => roman(number),
            Kind::RomanCapitals => roman(number).map(|text| text.to_ascii_uppercase()),
        };
        written.unwrap_or_else(|| number.to_string())
    }
}

/// An integer as attributes have them: what stands behind it is passed over.
pub(super) fn integer(text: &str) -> Option<i32> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let end = text.len() - digits.len() + length;
    text.get(..end)?.parse().ok()
}

/// `a` to `z`, then `aa`.
fn letters(number: i32) -> Option<String> {
    let mut left = u32::try_from(number).ok().filter(|number| *number > 0)?;
    let mut out = Vec::new();
    while left > 0 {
        left -= 1;
        out.push(b'a' + u8::try_from(left % 26).ok()?);
        left /= 26;
    }
    out.reverse();
    String::from_utf8(out).ok()
}

/// What has a sign of its own: 1 to 3999.
fn roman(number: i32) -> Option<String> {
    const SIGNS: [(i32, &str); 13] = [
        (1000, "m"),
        (900, "cm"),
        (500, "d"),
        (400, "cd"),
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ];
    let mut left = Some(number).filter(|number| (1..4000).contains(number))?;
    let mut out = String::new();
    for (value, sign) in SIGNS {
        while left >= value {
            out.push_str(sign);
            left -= value;
        }
    }
    Some(out)
}
