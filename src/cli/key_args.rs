//! The words of `sealpost keys`, as clap reads them. No meaning here, only form.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::args::Common;

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// All keys, or those that match
    List {
        /// Part of a name, address or fingerprint
        query: Option<String>,
        /// Only those with a secret half
        #[arg(long)]
        secret: bool,
        /// Only those with an open conflict
        #[arg(long)]
        conflicts: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Everything about one key
    Show {
        #[command(flatten)]
        key: OneKey,
        #[command(flatten)]
        common: Common,
    },
    /// Make a key
    Generate {
        #[arg(long)]
        address: String,
        #[arg(long)]
        name: Option<String>,
        #[arg(long, value_enum, default_value_t)]
        profile: Profile,
        /// An S/MIME certificate for trying out, instead of an OpenPGP key
        #[arg(long)]
        smime: bool,
        /// Write the request for an authority's certificate (PKCS#10, PEM) into FILE
        #[arg(long, value_name = "FILE", requires = "smime")]
        request: Option<PathBuf>,
        /// An instant (RFC 3339); an OpenPGP key does not expire when absent
        #[arg(long, value_name = "INSTANT")]
        expires: Option<String>,
        /// Ask for no passphrase: the key is as safe as this account's files
        #[arg(long)]
        no_passphrase: bool,
        /// Ask for no passphrase: the desktop's own key store opens the key
        #[arg(long, conflicts_with = "no_passphrase")]
        keychain: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Take in certificates and secret keys
    Import {
        /// A file of them; - is standard input
        #[arg(required_unless_present = "from_gnupg")]
        file: Option<PathBuf>,
        /// All certificates of GnuPG's keyring
        #[arg(long, conflicts_with = "file")]
        from_gnupg: bool,
        /// Accept them for the addresses that they name; those of GnuPG for which it calls them
        /// valid
        #[arg(long)]
        accept: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Take in the certificates of smart cards and other tokens; policy.toml says which there
    /// may be
    Tokens {
        /// Accept them for the addresses that they name
        #[arg(long)]
        accept: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Give out certificates
    Export {
        /// Fingerprints, addresses or parts of names, each of one key
        #[arg(required = true)]
        keys: Vec<String>,
        /// Not armored
        #[arg(long)]
        binary: bool,
        /// With the secret half, under a passphrase that is asked for
        #[arg(long)]
        secret: bool,
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Delete a key
    Delete {
        #[command(flatten)]
        key: OneKey,
        /// Its secret half too: what was encrypted to it can't be read any more
        #[arg(long)]
        secret: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Say what you think of a key for one address
    Accept {
        #[command(flatten)]
        key: OneKey,
        address: String,
        #[arg(long, value_enum, default_value_t)]
        level: Level,
        #[command(flatten)]
        common: Common,
    },
    /// End a conflict: of several keys for one address, say which counts
    Settle {
        #[command(flatten)]
        key: OneKey,
        address: String,
        /// A key that is not theirs; may be given several times
        #[arg(long, value_name = "KEY")]
        reject: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Let the owner of a key vouch for others: what they signed counts as accepted
    Introduce {
        #[command(flatten)]
        key: OneKey,
        /// Only for addresses at this domain; may be given several times
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Let the owner of a key vouch for others no more
    Dismiss {
        #[command(flatten)]
        key: OneKey,
        #[command(flatten)]
        common: Common,
    },
    /// Give one of yours another end; of S/MIME, make a request for its authority
    Renew {
        #[command(flatten)]
        key: OneKey,
        /// The new end, an instant (RFC 3339)
        #[arg(long, value_name = "INSTANT")]
        expires: String,
        /// Write the request for an authority (PKCS#10, PEM) into FILE
        #[arg(long, value_name = "FILE")]
        request: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Give one of yours another address, or let one go for ever
    Address {
        #[command(flatten)]
        key: OneKey,
        /// An address, or "Name <address>"
        #[arg(long, value_name = "ADDRESS", required_unless_present = "retire")]
        add: Option<String>,
        /// An address that is not yours any more
        #[arg(long, value_name = "ADDRESS", conflicts_with = "add")]
        retire: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Give one of yours another subkey, or let one go for ever
    Subkey {
        #[command(flatten)]
        key: OneKey,
        /// What it is for
        #[arg(long, value_name = "USE", required_unless_present = "retire")]
        add: Option<SubkeyUse>,
        /// Its key id or fingerprint
        #[arg(long, value_name = "KEY-ID", conflicts_with = "add")]
        retire: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Say that one of yours counts no more, for ever
    Revoke {
        #[command(flatten)]
        key: OneKey,
        /// Without one, the revocation that was kept when the key was made will do, and its
        /// passphrase is not needed
        #[arg(long, value_enum)]
        reason: Option<Reason>,
        #[command(flatten)]
        common: Common,
    },
    /// Put one of yours under another passphrase
    Passphrase {
        #[command(flatten)]
        key: OneKey,
        #[command(flatten)]
        common: Common,
    },
    /// See whether a passphrase opens a key
    Unlock {
        #[command(flatten)]
        key: OneKey,
        #[command(flatten)]
        common: Common,
    },
    /// Look for the keys of an address: in its domain's key directory (WKD), on servers of keys,
    /// in LDAP directories; what is found is undecided
    Discover {
        address: String,
        /// Only this way
        #[arg(long, value_enum)]
        via: Option<Via>,
        #[command(flatten)]
        common: Common,
    },
    /// Give one of yours to everybody
    Publish {
        #[command(flatten)]
        key: OneKey,
        /// The server of keys, which may mail you first; or files for your own domain's key
        /// directory
        #[arg(long, value_enum, default_value_t)]
        via: PublishVia,
        /// Where the files go: the root of a web server, or a folder that becomes it
        #[arg(long, value_name = "FOLDER", required_if_eq("via", "wkd"))]
        to: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Lock one key, or all of them
    Lock {
        key: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
pub struct OneKey {
    /// A fingerprint, an address or part of a name, of one key
    pub key: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// What GnuPG 2.2 and every other program reads
    #[default]
    Compatible,
    /// RFC 9580
    Modern,
    /// RFC 9980
    PostQuantum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SubkeyUse {
    Sign,
    Encrypt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// What messages brought along; asks nobody
    Autocrypt,
    Wkd,
    Keyserver,
    Ldap,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PublishVia {
    #[default]
    Keyserver,
    Wkd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reason {
    /// There is a newer key
    Superseded,
    /// Somebody else may have it
    Compromised,
    /// It is used no longer
    Retired,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Level {
    Rejected,
    Undecided,
    #[default]
    Accepted,
    /// You compared fingerprints with its owner
    Verified,
}
