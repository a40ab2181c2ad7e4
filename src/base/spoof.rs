//! Names and addresses that pretend: characters that show nothing, words of several scripts,
//! addresses where a name should stand, and what looks like something else.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_security::{MixedScript as _, skeleton};

use super::address::{Address, hidden};

/// Whether a text holds characters that hide or reorder it, or control characters. What emoji
/// and scripts with joiners need, in its place, hides nothing.
pub fn conceals(text: &str) -> bool {
    let mut before: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let fine = match c {
            // Folded lines leave tabs behind.
            '\t' => true,
            // How the emoji before it is drawn.
            '\u{FE0E}' | '\u{FE0F}' => before.is_some_and(draws),
            // One emoji out of two, and how Persian or Hindi words are joined.
            '\u{200C}' | '\u{200D}' => {
                let joins = |c: char| draws(c) || c == '\u{FE0F}' || is_joined(c);
                before.is_some_and(joins) && chars.peek().copied().is_some_and(joins)
            }
            c => !hidden(c) && !c.is_control(),
        };
        if !fine {
            return true;
        }
        before = Some(c);
    }
    false
}

/// Signs that come in two drawings: digits of keycaps and what is no letter beyond Latin-1.
fn draws(c: char) -> bool {
    matches!(c, '0'..='9' | '#' | '*' | '©' | '®')
        || c > '\u{2000}' && !c.is_alphanumeric() && !c.is_whitespace() && !hidden(c)
}

/// Letters of Arabic, Syriac and the scripts of India, whose words are spelled with joiners.
fn is_joined(c: char) -> bool {
    matches!(c, '\u{0600}'..='\u{08FF}' | '\u{0900}'..='\u{0DFF}') && !hidden(c)
}

/// Whether one word is made of letters of scripts that nobody writes together. Words of
/// different scripts beside each other are fine.
pub fn mixes_scripts(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric())
        .any(|word| !word.is_ascii() && !word.is_single_script())
}

/// As [`mixes_scripts`], in a person's or company's name: Latin letters stand in words of many
/// languages (`Tシャツ`, `카카오T`, `ไทยPBS`), where no other letter there looks like one.
pub fn name_mixes_scripts(name: &str) -> bool {
    let is_latin = |c: &char| format!("a{c}").is_single_script();
    let words = name.split(|c: char| !c.is_alphanumeric());
    let mut mixed = words.filter(|word| !word.is_ascii() && !word.is_single_script());
    mixed.any(|word| {
        let others: String = word.chars().filter(|c| !is_latin(c)).collect();
        // Syllables of Hangul look like nothing, though the strokes that they are made of do.
        let letters: String = others
            .chars()
            .filter(|c| !('가'..='힣').contains(c))
            .collect();
        let alike = |text: String| text.contains(|c: char| c.is_ascii_alphabetic());
        !others.is_single_script() || alike(skeleton(&letters).collect()) || alike(looks(&letters))
    })
}

/// Whether an address has a word or a label of several scripts.
pub fn address_mixes_scripts(address: &Address) -> bool {
    mixes_scripts(&address.unquoted_local()) || mixes_scripts(&address.shown_domain())
}

/// What each letter of ASCII looks like, small ones in place of capitals: for them the rules go
/// letter by letter, and nearly all addresses are made of them.
static ASCII: LazyLock<Vec<String>> = LazyLock::new(|| {
    let letters = (0..=127_u8).map(|byte| char::from(byte).to_string());
    letters.map(|letter| looks(&letter)).collect()
});

/// What a text looks like: equal for texts that a reader can't tell apart (UTS 39, 4), whatever
/// their case.
pub fn likeness(text: &str) -> String {
    if !text.is_ascii() {
        return looks(text);
    }
    let letters = text.bytes().filter_map(|byte| ASCII.get(usize::from(byte)));
    letters.map(String::as_str).collect()
}

fn looks(text: &str) -> String {
    // Skeletons keep the case, and readers of addresses don't.
    skeleton(&text.to_lowercase())
        .collect::<String>()
        .to_lowercase()
}

/// What a text looks like as it is written: some capitals are the likeness of another letter than
/// their small ones.
fn seen(text: &str) -> String {
    looks(&skeleton(text).collect::<String>())
}

/// A likeness in which `i` can't be told from `l`: what alike texts are looked up by.
fn blurred(likeness: &str) -> String {
    likeness.replace('i', "l")
}

/// Likenesses of known texts, each with those for whom it stands.
#[derive(Debug, Default)]
struct Looks(HashMap<String, Vec<(String, String)>>);

impl Looks {
    fn add(&mut self, text: &str, stands_for: &str) {
        let likeness = likeness(text);
        let alike = self.0.entry(blurred(&likeness)).or_default();
        alike.push((likeness, stands_for.to_owned()));
    }

    /// Whether one of these, which stands for anything but `own`, looks like a text.
    fn has_like(&self, text: &str, own: &str) -> bool {
        // A capital I is an l for the eye; it is an i where all are known to be capitals.
        [seen(text), likeness(text)].iter().any(|seen| {
            let mut alike = self.0.get(&blurred(seen)).into_iter().flatten();
            alike.any(|(known, of)| of != own && passes_for(seen, known))
        })
    }
}

/// Whether what is seen passes for something known, whose `i` may be a capital in memory. A small
/// `i` passes for no `l`.
fn passes_for(seen: &str, known: &str) -> bool {
    let same = |(seen, known): (char, char)| seen == known || seen == 'l' && known == 'i';
    seen.len() == known.len() && seen.chars().zip(known.chars()).all(same)
}

/// Known addresses by what they look like: to be made once, and asked for every message.
#[derive(Debug, Default)]
pub struct Likenesses {
    domains: Looks,
    /// The local parts of each domain.
    locals: HashMap<String, Looks>,
}

/// Takes addresses together by what they look like.
pub fn likenesses<'a>(known: impl IntoIterator<Item = &'a Address>) -> Likenesses {
    let mut all = Likenesses::default();
    for address in known {
        let domain = address.domain();
        if !all.locals.contains_key(domain) {
            all.domains.add(&address.shown_domain(), domain);
        }
        let locals = all.locals.entry(domain.to_owned()).or_default();
        locals.add(address.unquoted_local().trim(), address.key());
    }
    all
}

/// Whether an address that is none of those that are known, or its domain, looks like one.
pub fn imitates(address: &Address, known: &Likenesses) -> bool {
    let locals = known.locals.get(address.domain());
    if locals.is_some_and(|locals| locals.has_like(address.unquoted_local().trim(), address.key()))
    {
        return true;
    }
    [address.written_domain(), address.shown_domain()]
        .iter()
        .any(|domain| known.domains.has_like(domain, address.domain()))
}

/// Whether a display name holds an address that is not the one it stands before.
pub fn names_another(name: &str, own: &Address) -> bool {
    let plain = unmasked(name);
    if plain.contains('@') {
        let (own, lower) = (own.as_str().to_lowercase(), plain.to_lowercase());
        // Its own may be there among other words, and with room around its sign.
        let is_own = !without(&tight(&lower), &own).contains('@');
        if !is_own && has_address(&without(&lower, &own)) {
            return true;
        }
    }
    pieces(&plain).any(|piece| spells_another(piece, &[own]))
}

/// Whether a field of mailboxes shows more addresses than it has: in a comment, say.
pub fn shows_another(value: &str, own: &[&Address]) -> bool {
    let shown = unmasked(value);
    if pieces(&shown).any(|piece| spells_another(piece, own)) {
        return true;
    }
    if shown.matches('@').count() <= own.len() {
        return false;
    }
    let mut rest = shown.to_lowercase();
    for address in own {
        rest = without(&rest, &address.as_str().to_lowercase());
    }
    has_address(&rest)
}

/// Whether one of the `@` in a text makes an address for a reader. It does so right behind a
/// word, and before whatever looks like a domain. `Jane @ Acme` and `Doors open @ 9.30` have none.
fn has_address(text: &str) -> bool {
    let mut places = text.split('@').peekable();
    while let Some(before) = places.next() {
        let Some(behind) = places.peek() else {
            return false;
        };
        let apart = before
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || "([{<,;|\"'".contains(c));
        if !apart || !before_no_domain(behind) {
            return true;
        }
    }
    false
}

/// Whether nobody reads a domain out of a text: no point joins two words, not even with room
/// around it, and none is spelled. Times have points between digits.
fn before_no_domain(text: &str) -> bool {
    let mut rest = text;
    let mut last = None;
    while let Some((before, after)) = rest.split_once('.') {
        last = before.chars().next_back().or(last);
        let next = after.chars().next();
        let digits = [last, next]
            .iter()
            .all(|c| c.is_some_and(|c| c.is_ascii_digit()));
        let joins = after.trim_start().chars().next();
        if !digits && joins.is_some_and(|c| c.is_alphanumeric() || hidden(c)) {
            return false;
        }
        (rest, last) = (after, Some('.'));
    }
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    !words.any(|word| word.eq_ignore_ascii_case("dot"))
}

/// A text without room around its `@`.
fn tight(text: &str) -> String {
    let parts: Vec<&str> = text.split('@').collect();
    let last = parts.len().saturating_sub(1);
    let trimmed = parts.iter().enumerate().map(|(at, part)| {
        let part = if at > 0 { part.trim_start() } else { part };
        if at < last { part.trim_end() } else { part }
    });
    trimmed.collect::<Vec<_>>().join("@")
}

/// A text without an address, where that stands by itself and is no piece of a longer one.
fn without(text: &str, address: &str) -> String {
    let local = |c: char| c.is_alphanumeric() || "!#$%&*+-/=?^_`{|}~.".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(address) {
        out.push_str(before);
        let mut behind = after.chars();
        let goes_on = match behind.next() {
            Some('.') => behind.next().is_some_and(char::is_alphanumeric),
            Some(c) => c.is_alphanumeric() || c == '-',
            None => false,
        };
        if goes_on || out.ends_with(local) {
            out.push_str(address);
        }
        rest = after;
    }
    out + rest
}

/// A text in the pieces that brackets make of it, as comments do.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| "()[]{}<>".contains(c))
}

/// The words of a text, each without its marks, and as it stands.
fn spaced(text: &str) -> Vec<(&str, &str)> {
    let words = text.split_whitespace().map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '.');
        (bare, word)
    });
    words.filter(|(bare, _)| !bare.is_empty()).collect()
}

/// Whether a text has an address in words that is none of its own: `alice at example.org`, as
/// those write it who hide from robots. A domain of its own behind several words says where
/// somebody works, and so does one that is written as names are.
fn spells_another(text: &str, own: &[&Address]) -> bool {
    let words = spaced(text);
    let is_own = |named: &Address, before: &[(&str, &str)]| match before {
        [_] => own.contains(&named),
        _ => own.iter().any(|own| own.domain() == named.domain()),
    };
    let mut ats = words.iter().enumerate();
    ats.any(|(at, (bare, word))| {
        if !bare.eq_ignore_ascii_case("at") {
            return false;
        }
        let behind = words.get(at + 1..).unwrap_or_default();
        let before = words.get(..at).unwrap_or_default();
        let Some(domain) = domain(behind) else {
            return false;
        };
        if *word == "at" && is_employer(before, &domain, behind) {
            return false;
        }
        let local = before.last().map_or("x", |(bare, _)| *bare);
        let named = Address::parse(&format!("{local}@{domain}"))
            .or_else(|| Address::parse(&format!("x@{domain}")));
        named.is_some_and(|named| !is_own(&named, before))
    })
}

/// The addresses that a name can be read as, whatever it means: `Dora at Example.org`. Whose they
/// are is another's to say.
pub fn readings(name: &str) -> Vec<Address> {
    let plain = unmasked(name).replace('@', " at ");
    let words = spaced(&plain);
    let at = |(at, (bare, _)): (usize, &(&str, &str))| {
        let (local, _) = words.get(at.checked_sub(1)?)?;
        let domain = domain(words.get(at + 1..)?).filter(|_| bare.eq_ignore_ascii_case("at"))?;
        Address::parse(&format!("{local}@{domain}").to_lowercase())
    };
    let found = words.iter().enumerate().filter_map(at);
    found.take(READINGS_MAX).collect()
}

/// More than one address in a name is no name.
const READINGS_MAX: usize = 4;

/// Whether words around a plain `at` say for whom somebody works: `Genius at Booking.com`, `The
/// team at Acme.org`. Both are names, with capitals, and nothing of the domain is spelled.
fn is_employer(before: &[(&str, &str)], domain: &str, behind: &[(&str, &str)]) -> bool {
    let is_name =
        |word: &str| word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase);
    let somebody = match before {
        [.., (article, _), (one, _)] => {
            let articles = ["the", "your", "our"];
            is_name(one)
                || articles
                    .iter()
                    .any(|known| article.eq_ignore_ascii_case(known))
        }
        [(one, _)] => is_name(one),
        [] => false,
    };
    let whole = behind
        .first()
        .is_some_and(|(bare, _)| bare.trim_matches('.') == domain);
    somebody && whole && is_name(domain)
}

/// The longest domain, in bytes (RFC 1035 2.3.4): what goes on is none, and costs nothing.
const DOMAIN_MAX: usize = 253;

/// The domain that words begin with: `example.org`, `example dot org`, `example . org`.
fn domain(words: &[(&str, &str)]) -> Option<String> {
    let ((first, _), mut rest) = words.split_first()?;
    let mut name = (*first).to_owned();
    while let [(dot, _), (label, _), after @ ..] = rest
        && (*dot == "." || dot.eq_ignore_ascii_case("dot"))
        && name.len() <= DOMAIN_MAX
    {
        name.push('.');
        name.push_str(label);
        rest = after;
    }
    let name = name.trim_matches('.');
    // `at 10.30` and `at a.m.` are times.
    let (_, top) = name.rsplit_once('.')?;
    let is_top = top.chars().count() > 1 && top.chars().all(char::is_alphabetic);
    (is_top || top.starts_with("xn--")).then(|| name.to_owned())
}

/// A text with the signs of addresses in all places where a reader sees one.
fn unmasked(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let (sign, after) = match c {
            '\u{FF20}' | '\u{FE6B}' | '\u{24D0}' | '\u{24B6}' => ('@', after),
            '\u{3002}' | '\u{FF0E}' | '\u{FF61}' | '\u{FE52}' | '\u{2024}' => ('.', after),
            _ => bracketed(rest).unwrap_or((c, after)),
        };
        plain.push(sign);
        rest = after;
    }
    plain
}

/// Characters between brackets that stand for a sign, with some room around it.
const SIGN_MAX: usize = 12;

/// The sign that brackets at the start of a text stand for, and what is behind them: `[at]`,
/// `( DOT )`.
fn bracketed(text: &str) -> Option<(char, &str)> {
    const PAIRS: [(char, char); 4] = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>')];
    let (_, close) = PAIRS.iter().find(|(open, _)| text.starts_with(*open))?;
    let behind = text.get(1..)?;
    let mut near = behind.char_indices().take(SIGN_MAX);
    let (end, _) = near.find(|(_, c)| c == close)?;
    let (inner, after) = (behind.get(..end)?.trim(), behind.get(end + 1..)?);
    let is = |word: &str| inner.eq_ignore_ascii_case(word);
    let sign = match () {
        () if is("at") || is("@") => '@',
        () if is("dot") || is(".") => '.',
        () => return None,
    };
    Some((sign, after))
}

#[cfg(test)]
mod tests {
    use super::{
        conceals, imitates, likeness, likenesses, looks, mixes_scripts, name_mixes_scripts,
        names_another, readings, shows_another,
    };
    use crate::base::Address;

    fn address(text: &str) -> Address {
        Address::parse(text).expect("an address")
    }

    /// As long as a header section may be: each is looked at once, not once for each other.
    #[test]
    fn names_without_an_end_cost_what_they_are_long() {
        let own = address("a@x.example");
        let began = std::time::Instant::now();
        for word in [". ", "b . ", "at . ", "at b . ", "( ", "[at ", "at at "] {
            let name = word.repeat(256 * 1024 / word.len());
            let _ = names_another(&name, &own);
            let _ = shows_another(&name, &[&own]);
        }
        // A loop in a loop takes an hour.
        assert!(began.elapsed() < std::time::Duration::from_secs(60));
    }

    #[test]
    fn what_hides_is_told_from_what_belongs_there() {
        for text in [
            "a\u{202E}b",
            "a\u{2066}b",
            "a\u{200B}b",
            "a\u{200D}b",
            "a\u{FE0F}b",
            "a\u{AD}b",
            "a\u{E0061}b",
            "a\0b",
            "a\u{7}b",
            "a\u{115F}b",
            "\u{FEFF}a",
            "a\u{2028}b",
        ] {
            assert!(conceals(text), "{text:?}");
        }
        for text in [
            "Alice",
            "a\tb",
            "❤\u{FE0F}",
            "👩\u{200D}💻",
            "❤\u{FE0F}\u{200D}🔥",
            "1\u{FE0F}\u{20E3}",
            "می\u{200C}خواهم",
            "क्\u{200D}ष",
            "Jürgen",
            "李 四",
        ] {
            assert!(!conceals(text), "{text:?}");
        }
    }

    #[test]
    fn words_of_two_scripts() {
        for text in ["Аlice", "Bob аnd Cаrol", "pаypal.example", "αlpha"] {
            assert!(mixes_scripts(text) && name_mixes_scripts(text), "{text:?}");
        }
        for text in [
            "Alice",
            "Иван Petrov",
            "Jürgen Müller-Lüdenscheid",
            "日本語のテスト",
            "김철수",
            "Ελένη",
            "O’Brien",
            "R2 D2",
            "東京タワー",
        ] {
            assert!(
                !mixes_scripts(text) && !name_mixes_scripts(text),
                "{text:?}"
            );
        }
        for name in [
            "Tシャツ",
            "LINEギフト",
            "三菱UFJ銀行",
            "JR東日本",
            "카카오T",
            "腾讯QQ",
            "ไทยPBS",
            "हिन्दीTV",
            "Pokémonセンター",
        ] {
            assert!(!name_mixes_scripts(name), "{name}");
        }
        for name in [
            "Tシャツа",
            "WhatsАpp",
            "Müllеr",
            "Gοοgle",
            "Տelegram",
            "payрal公司",
        ] {
            assert!(name_mixes_scripts(name), "{name}");
        }
    }

    #[test]
    fn addresses_that_a_name_can_be_read_as() {
        for (name, read) in [
            ("Dora at X.example", &["dora@x.example"][..]),
            ("the dora at X.example", &["dora@x.example"]),
            ("Dora @ X.example", &["dora@x.example"]),
            ("Genius at Booking.com", &["genius@booking.com"]),
            ("Dora at work", &[]),
            ("at X.example", &[]),
            ("Dora", &[]),
        ] {
            let found: Vec<_> = readings(name).iter().map(|a| a.to_string()).collect();
            assert_eq!(found, read, "{name}");
        }
    }

    #[test]
    fn likeness_of_addresses() {
        let known = likenesses(&[address("alice@bank.example"), address("x@other.example")]);
        for other in [
            "a1ice@bank.example",
            "al\u{456}ce@bank.example",
            "carol@b\u{430}nk.example",
            "alice@xn--bnk-6cd.example",
        ] {
            assert!(imitates(&address(other), &known), "{other}");
        }
        for other in [
            "bob@bank.example",
            "a1ice@other.example",
            "alice@rank.example",
        ] {
            assert!(!imitates(&address(other), &known), "{other}");
        }
        // A capital I is an l for the eye, and in memory an i may be a capital.
        let known = likenesses(&[address("alice@bill.example"), address("info@x.example")]);
        for other in [
            "aIice@bill.example",
            "AIice@bill.example",
            "x@biII.example",
            "x@bilI.example",
            "x@bilI.exaMple",
            "x@b1ll.example",
            "lnfo@x.example",
            "LNFO@x.example",
            "\"lnfo\"@x.example",
            "x@x.exampIe.",
            "x@x\u{3002}exampIe",
            "x@x.exam\u{ad}pIe",
            "x@\u{ff58}.exampIe",
            "lNFO@x.example",
            "inf0@x.example",
            "INF0@x.example",
            "ALlCE@bill.example",
            "ALICE@BlLL.example",
        ] {
            assert!(imitates(&address(other), &known), "{other}");
        }
        for other in [
            "aiice@bill.example",
            "bob@BILL.example",
            "x@biil.example",
            "bill@x.example",
        ] {
            assert!(!imitates(&address(other), &known), "{other}");
        }
        // Capitals of other scripts are those of Latin where their small ones are not.
        let known = likenesses(&[address("henry@x.example")]);
        assert!(imitates(&address("\u{41D}ENRY@x.example"), &known));
        let known = likenesses(&[address("b@example.org")]);
        assert!(imitates(&address("a@exarnple.org"), &known));
        // Two that look alike are both known.
        let known = likenesses(&[address("b@exarnple.org"), address("b@example.org")]);
        assert!(imitates(&address("a@example.org"), &known));
        assert!(!imitates(&address("a@elsewhere.org"), &known));
    }

    #[test]
    fn letters_of_ascii_look_the_same_alone_and_together() {
        let all: String = (' '..='~').collect();
        for text in [&*all, "rnm1lI|0O", "Person.1@many.example", ""] {
            assert_eq!(likeness(text), looks(text), "{text}");
        }
    }

    #[test]
    fn addresses_in_names() {
        let own = address("mallory@elsewhere.example");
        for name in [
            "alice@vectors.example",
            "alice＠vectors.example",
            "Alice (alice@vectors.example)",
            "<alice@vectors.example>",
            "alice at vectors.example",
            "alice [at] vectors.example",
            "alice @ vectors.example",
            "Alice @vectors.example",
            "alice@ vectors . example",
            "alice @ vectors dot example",
            "alice [at] vectors dot example",
            "alice @ vectors. example",
            "alice @ vectors .example",
            "alice @ vectors.\u{200b}example",
            "alice@intranet",
            "alice @ Vectors.example",
            "alice at Vectors.example",
            "Alice At Vectors.example",
            "Alice [at] Vectors.example",
            "Alice at Vectors dot example",
            "ALICE at Vectors.example",
            "Alice at VECTORS.EXAMPLE",
            "Alice -at- Vectors.example",
            "is alice at Vectors.example",
            "at Vectors.example",
            "Jane @ Acme, alice@vectors.example",
            "Genius at Booking.com, alice at vectors.example",
            "alice at elsewhere.example",
            "alice(at)elsewhere.example",
            "Alice alice[AT]vectors.example",
            "alice [ at ] vectors.example",
            "alice at vectors dot example",
            "alice AT vectors.example (verified)",
            "Mallory (alice at vectors.example)",
            "alice at vectors [dot] example",
            "alice at vectors . example",
            "alice at vectors\u{3002}example",
            "alice -at- vectors.example",
            "alice at elsewhere.example, verified",
            "alice \"at\" elsewhere.example",
            "alice, at: vectors.example",
            "alice\u{a0}AT\u{a0}vectors\u{a0}DOT\u{a0}example",
            "alice(at)vectors(dot)example",
            "alice\u{24d0}vectors.example",
            "alice@vectors.example via mallory@elsewhere.example",
            "emallory @ elsewhere.example",
        ] {
            assert!(names_another(name, &own), "{name}");
        }
        for name in [
            "Mallory",
            "mallory@elsewhere.example via Docs",
            "Mallory (mallory@elsewhere.example)",
            "mallory @ elsewhere.example",
            "MALLORY@elsewhere.example",
            "'mallory@elsewhere.example'",
            "Mallory at elsewhere.example",
            "Mallory at Acme Inc.",
            "Mallory Smith at elsewhere.example",
            "Mallory Smith, Sales, at elsewhere dot example",
            "Mallory at elsewhere.example, Berlin",
            "Dora at Acme",
            "Dora (at work)",
            "Dora at 10.30",
            "Dora at 5 p.m.",
            "Dora at St. Mary",
            "Pat at large",
            "Alice @ home",
            "Jane @ Acme",
            "Jane (@jane)",
            "Jane @ Acme Inc.",
            "@jane",
            "Doors open @ 9.30",
            "Meet us at 9.30",
            "Meet us at 9.30pm",
            "Genius at Booking.com",
            "Dora at Acme.inc",
            "Dora Smith at Acme.inc (Sales)",
            "The team at Booking.com",
            "Your friends at Acme.org",
            "Dora at St.Mary",
        ] {
            assert!(!names_another(name, &own), "{name}");
        }
        for value in [
            "Alice (alice@vectors.example) <mallory@elsewhere.example>",
            "Alice () <alice@vectors.example> (by) <mallory@elsewhere.example>",
            "mallory@elsewhere.example (alice＠vectors.example)",
            "Alice (alice at vectors.example) <mallory@elsewhere.example>",
            "Alice (alice at elsewhere.example) <mallory@elsewhere.example>",
            "mallory@elsewhere.example (alice [at] vectors (dot) example)",
            "mallory@elsewhere.example (is alice at vectors.example)",
            "Alice (alicemallory@elsewhere.example) <mallory@elsewhere.example>",
            "Alice (alice.mallory@elsewhere.example) <mallory@elsewhere.example>",
            "Alice (mallory@elsewhere.example.vectors.example) <mallory@elsewhere.example>",
            "Alice () <emallory@elsewhere.example> (by) <mallory@elsewhere.example>",
            "Alice @ Acme (alice @ vectors.example) <mallory@elsewhere.example>",
            "alice @ <vectors.example> <mallory@elsewhere.example>",
        ] {
            assert!(shows_another(value, &[&own]), "{value}");
        }
        for value in [
            "Mallory <MALLORY@elsewhere.example>",
            "\"mallory@elsewhere.example\" <mallory@elsewhere.example>",
            "'mallory@elsewhere.example' <mallory@elsewhere.example>",
            "Mallory, mallory@elsewhere.example. <mallory@elsewhere.example>",
            "mallory@elsewhere.example (office)",
            "Mallory (at work) <mallory@elsewhere.example>",
            "Mallory (mallory at elsewhere.example) <mallory@elsewhere.example>",
            "Mallory (Sales team at elsewhere.example) <mallory@elsewhere.example>",
            "Mallory @ Acme Inc. <mallory@elsewhere.example>",
            "Mallory (@mallory) <mallory@elsewhere.example>",
            "Genius at Booking.com <mallory@elsewhere.example>",
        ] {
            assert!(!shows_another(value, &[&own]), "{value}");
        }
    }
}
