//! Which header fields a reader is shown, and what protects each (RFC 9788).

use super::judge::DATE_TOLERANCE;
use super::open::{Claimed, one_address};
use super::peel::Payload;
use crate::base::Address;
use crate::base::address::Mailbox;
use crate::base::spoof;
use crate::base::verdict::{Header, HeaderProtection, Headers, Warning};
use crate::mail::addresses::Addresses;
use crate::mail::head::camel;
use crate::mail::protect::Envelope;
use crate::mail::{Field, Head};

/// Header fields in one result beside those of [`ORDER`], which are all shown: no crowd takes the
/// place of those that say who wrote to whom. A message rarely has more than thirty.
const SHOWN_MAX: usize = 200;

/// The fields that are shown first, in this order; all others follow as they stand.
const ORDER: [&str; 11] = [
    "subject",
    "from",
    "sender",
    "replyTo",
    "to",
    "cc",
    "bcc",
    "date",
    "messageId",
    "inReplyTo",
    "references",
];

/// Fields that transport adds, or that are ours to read and nobody's to see.
const SILENT: [&str; 20] = [
    "received",
    "returnPath",
    "deliveredTo",
    "dkimSignature",
    "arcSeal",
    "arcMessageSignature",
    "arcAuthenticationResults",
    "authenticationResults",
    "receivedSpf",
    "autocrypt",
    "autocryptGossip",
    "autocryptSetupMessage",
    "hpOuter",
    "sealpostDraft",
    "sealpostAnswer",
    "xReceived",
    "xOriginalTo",
    "domainkeySignature",
    "xGoogleDkimSignature",
    "openpgp",
];

/// Outside, nothing protects a field.
const NOTHING: [HeaderProtection; 2] = [HeaderProtection::None; 2];

/// One field as it stands somewhere.
struct Stands {
    /// Camel case.
    name: String,
    value: String,
    addresses: Option<Vec<Mailbox>>,
    /// Whom all of it names; `None` where a part of it names nobody, or more than one reader sees.
    named: Option<Vec<Address>>,
    /// What protects it: without a good signature, and with one.
    protection: [HeaderProtection; 2],
}

/// The header fields of a message, outside and inside.
pub(super) struct Seen {
    outer: Vec<Stands>,
    inner: Vec<Stands>,
    outer_from: Option<Address>,
    inner_from: Option<Address>,
    outer_date: Option<u64>,
    inner_date: Option<u64>,
    warnings: Vec<Warning>,
}

/// Reads the fields of the message and, where the payload has header protection, its own.
pub(super) fn seen(outer: &Head, payload: Option<&Payload>) -> Seen {
    let mut seen = read(outer, payload);
    seen.warnings.extend(sender(outer));
    seen
}

fn read(outer: &Head, payload: Option<&Payload>) -> Seen {
    let payload = payload.filter(|payload| payload.protected.hp.is_some());
    let inner = match payload {
        Some(payload) => stands(&payload.head, |field| {
            [false, true].map(|signed| {
                let envelope = Envelope {
                    encrypted: payload.is_sealed(),
                    signed,
                };
                payload.protected.protection(field, envelope)
            })
        }),
        None => Vec::new(),
    };
    let mut warnings = Vec::new();
    if let Some(payload) = payload.filter(|payload| payload.head.first("From").is_some()) {
        warnings.extend(sender(&payload.head));
    }
    let outer_from = single_from(outer);
    let inner_from = payload.and_then(|payload| single_from(&payload.head));
    let outer_date = single_date(outer);
    let inner_date = payload.and_then(|payload| single_date(&payload.head));
    let outer = stands(outer, |_| NOTHING);
    for field in outer.iter().chain(&inner) {
        suspicious(field, &mut warnings);
    }
    Seen {
        outer,
        inner,
        outer_from,
        inner_from,
        outer_date,
        inner_date,
        warnings,
    }
}

/// What is wrong with how a header section names who wrote the message.
fn sender(head: &Head) -> Option<Warning> {
    let Some(from) = single_from(head) else {
        let named = |field: Field<'_>| {
            let addresses = field.addresses();
            addresses.mailboxes.len() + addresses.invalid
        };
        let several =
            head.all("From").count() > 1 || head.all("From").map(named).sum::<usize>() > 1;
        return Some(match several {
            true => Warning::SeveralFrom,
            false => Warning::NoFrom,
        });
    };
    let mut senders = head.all("Sender").flat_map(|field| field.mailboxes());
    senders
        .any(|sender| sender.address != from)
        .then_some(Warning::SenderDiffers)
}

/// The fields that a page claims, and the payload's own where it has header protection. `date`
/// is the claimed one, read.
pub(super) fn claimed(claimed: &Claimed, date: Option<u64>, payload: Option<&Payload>) -> Seen {
    let empty = Head::default();
    let mut seen = read(&empty, payload);
    let mut claim = |name: &str, value: String, addresses: Option<Vec<Mailbox>>| {
        seen.outer.push(Stands {
            name: name.to_owned(),
            value,
            named: addresses.as_deref().map(addresses_of),
            addresses,
            protection: NOTHING,
        });
    };
    if let Some(from) = &claimed.from {
        claim(
            "from",
            spelled(std::slice::from_ref(from)),
            Some(vec![from.clone()]),
        );
    }
    if !claimed.to.is_empty() {
        claim("to", spelled(&claimed.to), Some(claimed.to.clone()));
    }
    if let Some(date) = &claimed.date {
        claim("date", date.clone(), None);
    }
    for field in &seen.outer {
        suspicious(field, &mut seen.warnings);
    }
    seen.outer_from = claimed.from.as_ref().map(|from| from.address.clone());
    seen.outer_date = date;
    seen
}

fn spelled(mailboxes: &[Mailbox]) -> String {
    let one = |mailbox: &Mailbox| match &mailbox.name {
        Some(name) => format!("{name} <{}>", mailbox.address),
        None => mailbox.address.to_string(),
    };
    mailboxes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The one address in a header section's one From field.
pub(super) fn single_from(head: &Head) -> Option<Address> {
    let mut fields = head.all("From");
    let first = fields.next()?;
    if fields.next().is_some() {
        return None;
    }
    let addresses = first.addresses();
    match (addresses.invalid, addresses.groups, addresses.ambiguous) {
        (0, 0, 0) => one_address(&addresses.mailboxes),
        _ => None,
    }
}

/// The time in a header section's one Date field (RFC 5322 3.6).
fn single_date(head: &Head) -> Option<u64> {
    let mut fields = head.all("Date");
    let date = fields.next()?.date();
    date.filter(|_| fields.next().is_none())
}

/// So many names of senders are held against the store.
const READINGS_MAX: usize = 8;

impl Seen {
    /// The address that verdicts are about: the protected From, else the one outside.
    pub fn from(&self) -> Option<&Address> {
        match self.protected_from() {
            true => self.inner_from.as_ref(),
            false => self.outer_from.as_ref(),
        }
    }

    /// The address of the From that is shown. `bound` as for [`Seen::headers`].
    pub fn shown_from(&self, bound: bool) -> Option<&Address> {
        match self.mismatch() && !bound {
            true => self.outer_from.as_ref(),
            false => self.from(),
        }
    }

    /// Whom the names of senders can be read as, besides the senders themselves.
    pub fn readings(&self) -> Vec<Address> {
        let fields = self.inner.iter().chain(&self.outer);
        let senders = fields.filter(|field| field.name == "from");
        let mailboxes: Vec<&Mailbox> = senders
            .filter_map(|f| f.addresses.as_ref())
            .flatten()
            .collect();
        let names = mailboxes
            .iter()
            .filter_map(|mailbox| mailbox.name.as_deref());
        let own = |address: &Address| mailboxes.iter().any(|mailbox| mailbox.address == *address);
        names
            .flat_map(spoof::readings)
            .filter(|address| !own(address))
            .take(READINGS_MAX)
            .collect()
    }

    /// There is a From inside.
    pub fn protected_from(&self) -> bool {
        self.inner.iter().any(|field| field.name == "from")
    }

    /// Inside and outside name different senders. Where not all that is there names somebody, every
    /// word counts.
    pub fn mismatch(&self) -> bool {
        let inside: Vec<_> = from_fields(&self.inner).collect();
        let outside: Vec<_> = from_fields(&self.outer).collect();
        if inside.is_empty() || outside.is_empty() {
            return false;
        }
        if let (Some(inside), Some(outside)) = (named(&self.inner), named(&self.outer)) {
            return inside != outside;
        }
        match (&self.inner_from, &self.outer_from) {
            (None, None) => inside != outside,
            (inside, outside) => inside != outside,
        }
    }

    /// Inside and outside name the same one sender.
    pub fn same_protected_from(&self) -> bool {
        self.inner_from.is_some() && self.inner_from == self.outer_from
    }

    /// Outside stands what the payload contradicts: another sender, another date, or somebody
    /// whom it does not name.
    pub fn contradicted(&self) -> bool {
        let people = |fields: &[Stands], names: &[&str]| -> Vec<Address> {
            let named = fields
                .iter()
                .filter(|field| names.contains(&field.name.as_str()));
            let people = named.filter_map(|field| field.addresses.as_ref()).flatten();
            people.map(|mailbox| mailbox.address.clone()).collect()
        };
        let inside = people(&self.inner, &["to", "cc", "bcc"]);
        let others = people(&self.outer, &["to"]);
        let others = others.iter().any(|address| !inside.contains(address));
        let near = |(a, b): (u64, u64)| a.abs_diff(b) <= DATE_TOLERANCE;
        let another_date = self.protected_date()
            && self.outer_date.is_some()
            && !self.outer_date.zip(self.inner_date).is_some_and(near);
        self.mismatch() || another_date || others && !inside.is_empty()
    }

    /// There is a Date inside.
    pub fn protected_date(&self) -> bool {
        self.inner.iter().any(|field| field.name == "date")
    }

    /// `Date` where no layer covers it.
    pub fn unprotected_date(&self) -> Option<u64> {
        self.outer_date.filter(|_| !self.protected_date())
    }

    /// `Date` as it is shown, where there is one and can be read.
    pub fn date(&self) -> Option<u64> {
        match self.protected_date() {
            true => self.inner_date,
            false => self.outer_date,
        }
    }

    /// What a reader should know of these fields.
    pub fn warnings(&self) -> Vec<Warning> {
        self.warnings.clone()
    }

    /// What stands outside for each field inside, where that differs. Of several fields of one
    /// name those that stand outside as they are have nothing to do with the rest.
    fn counterparts(&self) -> Vec<Option<&Stands>> {
        let same = |a: &Stands, b: &Stands| a.name == b.name && a.value == b.value;
        let alone = |field: &&Stands| !self.inner.iter().any(|inner| same(inner, field));
        let mut left: Vec<Option<&Stands>> = self.outer.iter().filter(alone).map(Some).collect();
        let counterpart = |field: &Stands| {
            if self.outer.iter().any(|outer| same(outer, field)) {
                return None;
            }
            let named = |one: &&mut Option<&Stands>| one.is_some_and(|o| o.name == field.name);
            left.iter_mut().find(named)?.take()
        };
        self.inner.iter().map(counterpart).collect()
    }

    /// The fields to show. `bound`: a good signature binds them to the From inside.
    pub fn headers(&self, bound: bool) -> Headers {
        let mut shown: Vec<(String, Header)> = Vec::new();
        let foreign = self.mismatch() && !bound;
        for (field, outside) in self.inner.iter().zip(self.counterparts()) {
            if field.name == "from" && foreign {
                continue;
            }
            let [unsigned, signed] = field.protection;
            let header = Header {
                outer: outside.map(|outside| outside.value.clone()),
                ..plain(field, if bound { signed } else { unsigned })
            };
            add(&mut shown, &field.name, header);
        }
        // RFC 9788 4.4: nothing vouches for the From inside, so the outer one stands.
        let named = |field: &&Stands| field.name == "from" && foreign;
        let claimed: Vec<_> = from_fields(&self.inner).collect();
        let mut claimed = foreign.then(|| claimed.join(", "));
        for field in self.outer.iter().filter(named) {
            let header = Header {
                claimed: claimed.take(),
                ..plain(field, HeaderProtection::None)
            };
            add(&mut shown, &field.name, header);
        }
        for field in &self.outer {
            if !self.inner.iter().any(|inner| inner.name == field.name) {
                let header = plain(field, HeaderProtection::None);
                add(&mut shown, &field.name, header);
            }
        }
        let place = |name: &str| ORDER.iter().position(|n| *n == name).unwrap_or(ORDER.len());
        shown.sort_by_key(|(name, _)| place(name));
        Headers(shown)
    }
}

/// Whom all From fields name, in their order of letters; `None` where one doesn't say it clearly.
fn named(fields: &[Stands]) -> Option<Vec<&Address>> {
    let fields = fields.iter().filter(|field| field.name == "from");
    let lists: Option<Vec<_>> = fields.map(|field| field.named.as_ref()).collect();
    let mut named: Vec<&Address> = lists?.into_iter().flatten().collect();
    named.sort_by(|a, b| a.key().cmp(b.key()));
    named.dedup();
    (!named.is_empty()).then_some(named)
}

fn addresses_of(mailboxes: &[Mailbox]) -> Vec<Address> {
    let addresses = mailboxes.iter().map(|mailbox| mailbox.address.clone());
    addresses.collect()
}

/// What the From fields say, as they stand.
fn from_fields(fields: &[Stands]) -> impl Iterator<Item = &str> {
    let named = fields.iter().filter(|field| field.name == "from");
    named.map(|field| field.value.as_str())
}

/// Adds a field to those of its name.
fn add(shown: &mut Vec<(String, Header)>, name: &str, header: Header) {
    match shown.iter_mut().find(|(known, _)| known == name) {
        Some((_, first)) => first.more.push(header),
        None => shown.push((name.to_owned(), header)),
    }
}

fn plain(field: &Stands, protection: HeaderProtection) -> Header {
    Header {
        value: field.value.clone(),
        addresses: field.addresses.clone(),
        protection,
        outer: None,
        claimed: None,
        more: Vec::new(),
    }
}

/// The non-structural fields that a reader may be shown.
fn stands(head: &Head, protection: impl Fn(&Field<'_>) -> [HeaderProtection; 2]) -> Vec<Stands> {
    let mut fields: Vec<Stands> = Vec::new();
    let mut others = 0;
    for field in head.fields() {
        let name = camel(field.name());
        if field.is_structural() || SILENT.contains(&name.as_str()) {
            continue;
        }
        if !ORDER.contains(&name.as_str()) {
            others += 1;
            if others > SHOWN_MAX {
                continue;
            }
        }
        fields.push(stand(name, &field, protection(&field)));
    }
    fields
}

fn stand(name: String, field: &Field<'_>, protection: [HeaderProtection; 2]) -> Stands {
    let holds_addresses = matches!(
        name.as_str(),
        "from" | "sender" | "replyTo" | "to" | "cc" | "bcc"
    );
    let found = holds_addresses.then(|| field.addresses());
    let clear = |found: &&Addresses| (found.invalid, found.groups, found.ambiguous) == (0, 0, 0);
    Stands {
        named: found
            .as_ref()
            .filter(clear)
            .map(|found| addresses_of(&found.mailboxes)),
        addresses: found.map(|found| found.mailboxes),
        value: field.text(),
        name,
        protection,
    }
}

/// Names that pretend: an address inside a display name, characters that hide or reorder.
fn suspicious(field: &Stands, warnings: &mut Vec<Warning>) {
    let Some(addresses) = &field.addresses else {
        if field.name == "subject" && spoof::conceals(&field.value) {
            warnings.push(Warning::HiddenCharacters);
        }
        return;
    };
    if spoof::conceals(&field.value) {
        warnings.push(Warning::HiddenCharacters);
    }
    if !matches!(field.name.as_str(), "from" | "sender" | "replyTo") {
        return;
    }
    let own: Vec<&Address> = addresses.iter().map(|mailbox| &mailbox.address).collect();
    if !own.is_empty() && spoof::shows_another(&field.value, &own) {
        warnings.push(Warning::AddressInName);
    }
    for mailbox in addresses {
        let name = mailbox.name.as_deref().unwrap_or_default();
        if spoof::names_another(name, &mailbox.address) {
            warnings.push(Warning::AddressInName);
        }
        if spoof::name_mixes_scripts(name) || spoof::address_mixes_scripts(&mailbox.address) {
            warnings.push(Warning::MixedScripts);
        }
    }
}
