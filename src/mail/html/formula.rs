//! Formulas as text: where a part of one stands says what it is, and next to the others its letters
//! would read as something else.

/// Elements whose parts have places (MathML Core 3.3, 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Formula {
    Fraction,
    Root,
    SquareRoot,
    Over,
    Under,
    UnderOver,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    /// What stands before its own sign, and needs to be one with it.
    Base,
    Numerator,
    Denominator,
    Raised,
    Lowered,
    /// Which root it is.
    Index,
}

/// What stands before and behind a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signs {
    pub text: &'static str,
    pub after: &'static str,
}

impl Formula {
    pub(super) fn of(name: &str) -> Option<Formula> {
        Some(match name {
            "mfrac" => Formula::Fraction,
            "mroot" => Formula::Root,
            "msqrt" => Formula::SquareRoot,
            "msup" | "mover" => Formula::Over,
            "msub" | "munder" => Formula::Under,
            "msubsup" | "munderover" => Formula::UnderOver,
            _ => return None,
        })
    }

    /// What stands around all of it.
    pub(super) fn signs(self) -> Signs {
        match self {
            Formula::SquareRoot => Signs {
                text: "\u{221A}(",
                after: ")",
            },
            _ => Signs::default(),
        }
    }

    /// What the part is that has so many before it.
    pub(super) fn role(self, before: usize) -> Role {
        match (self, before) {
            (Formula::SquareRoot, _) => Role::Plain,
            (Formula::Fraction, 0) => Role::Numerator,
            (Formula::Fraction, _) => Role::Denominator,
            (_, 0) => Role::Base,
            (Formula::Root, _) => Role::Index,
            (Formula::Under, _) | (Formula::UnderOver, 1) => Role::Lowered,
            (Formula::Over | Formula::UnderOver, _) => Role::Raised,
        }
    }
}

impl Role {
    /// What stands around a part with this name.
    pub(super) fn signs(self, name: &str) -> Signs {
        let single = ["mi", "mn", "mo", "ms", "mtext"].contains(&name);
        let (text, after) = match self {
            Role::Numerator | Role::Base if !single => ("(", ")"),
            Role::Denominator if single => ("/", ""),
            Role::Denominator => ("/(", ")"),
            Role::Index if single => ("^(1/", ")"),
            Role::Index => ("^(1/(", "))"),
            _ => ("", ""),
        };
        Signs { text, after }
    }
}
