//! A text by what a reader takes it for, so that other capitals, spaces and signs, look-alikes and
//! characters that show nothing make no other text of it.

use crate::base::address::hidden;
use crate::base::spoof::likeness;

/// From this length on, in bytes, a piece is found within words too: what is shorter stands in
/// many a word by chance.
const WITHIN_MIN: usize = 5;

/// A text in the form in which it is compared.
pub(super) struct Spelled {
    /// Its letters and digits alone.
    letters: String,
    /// Its words, each between spaces.
    words: String,
    /// All of it that shows something.
    whole: String,
}

impl Spelled {
    pub(super) fn of(text: &str) -> Spelled {
        let text: String = text.chars().filter(|c| !hidden(*c)).collect();
        // By way of the capitals, since `ß` and `SS` are one.
        let text = text.to_uppercase();
        let text = likeness(&text);
        // A letter's marks may be written by themselves or not at all.
        let text: String = text.chars().filter(|c| !is_mark(*c)).collect();
        let words = text.split(|c: char| !c.is_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        Spelled {
            letters: words.concat(),
            words: format!(" {} ", words.join(" ")),
            whole: text.split_whitespace().collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// Whether this text has all of `piece` in it.
    pub(super) fn says(&self, piece: &Spelled) -> bool {
        match piece.letters.len() {
            0 => self.whole.contains(&piece.whole),
            WITHIN_MIN.. => self.letters.contains(&piece.letters),
            _ => self.words.contains(&piece.words),
        }
    }
}

/// Marks that stand over or under a letter, in the scripts that can do without.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}')
}

#[cfg(test)]
mod tests {
    use super::Spelled;

    #[test]
    fn another_spelling_says_the_same() {
        for (text, piece, says) in [
            ("Re:  Projekt\tMERGER!", "Projekt Merger", true),
            ("projekt\u{a0}mer\u{200b}ger", "Projekt Merger", true),
            ("Projekt-Merger", "Projekt Merger", true),
            ("ProjektMerger", "Projekt Merger", true),
            ("Pr\u{43e}jekt M\u{435}rger", "Projekt Merger", true),
            ("Ｐｒｏｊｅｋｔ Merger", "Projekt Merger", true),
            ("Mu\u{308}ller", "M\u{fc}ller", true),
            ("STRASSE", "Stra\u{df}e", true),
            ("about \u{5408}\u{540c} now", "\u{5408}\u{540c}", true),
            ("a\u{1f389}!", "\u{1f389}", true),
            ("Well?! ", "?!", true),
            ("Hi!", "hi", true),
            ("This", "hi", false),
            ("Projekt", "Projekt Merger", false),
            ("", "hi", false),
        ] {
            let (text, piece) = (Spelled::of(text), Spelled::of(piece));
            assert_eq!(text.says(&piece), says, "{} {}", text.whole, piece.whole);
        }
        assert!(Spelled::of(" \u{200b}\t").is_empty());
    }
}
