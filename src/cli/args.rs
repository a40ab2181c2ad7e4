//! The words of the command line, as clap reads them. No meaning here, only form.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// End-to-end encrypted mail: opens and seals messages, looks after keys.
///
/// Browsers start this program by themselves and talk to it over stdin and stdout; the
/// commands are for people. State lies in the folder that SEALPOST_HOME names.
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, max_term_width = 90)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open a message: what is it, who wrote it, what does it say
    Open(Open),
    /// Build a message, sign it and encrypt it
    Seal(Box<Seal>),
    /// Look after certificates and secret keys
    #[command(subcommand)]
    Keys(Keys),
    /// Authorities that may vouch for S/MIME certificates
    #[command(subcommand)]
    Anchors(Anchors),
    /// The rules in force, and who set each
    Policy {
        #[command(flatten)]
        common: Common,
    },
    /// Small texts without a message around them
    #[command(subcommand)]
    Text(Text),
    /// Show the main job with two made-up people; touches no key of yours
    Demo,
}

/// What every command has.
#[derive(Debug, Clone, Copy, Args)]
pub struct Common {
    /// Print the protocol's result as JSON
    #[arg(long)]
    pub json: bool,
    /// Never ask for a passphrase
    #[arg(long)]
    pub no_ask: bool,
}

#[derive(Debug, Args)]
pub struct Open {
    /// The message; - is standard input
    pub file: PathBuf,
    /// A detached signature over FILE, which is then not a message but a body
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// FILE is armor or ciphertext without a message around it
    #[arg(long)]
    pub payload: bool,
    /// Judge by this instant (RFC 3339); nothing is recorded then
    #[arg(long, value_name = "INSTANT")]
    pub at: Option<String>,
    /// Ask authorities over the network whether certificates were revoked (S/MIME)
    #[arg(long)]
    pub check_revocation: bool,
    /// Write the attachments into this folder
    #[arg(long, value_name = "FOLDER")]
    pub save: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
pub struct Seal {
    /// Who writes: an address, or "Name <address>"
    #[arg(long, required_unless_present_any = ["draft", "message"])]
    pub from: Option<String>,
    #[arg(long)]
    pub to: Vec<String>,
    #[arg(long)]
    pub cc: Vec<String>,
    /// Each gets a message of their own that no other recipient hears of
    #[arg(long)]
    pub bcc: Vec<String>,
    #[arg(long, default_value = "")]
    pub subject: String,
    /// The text; - is standard input
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// A file to attach; may be given several times
    #[arg(long, value_name = "FILE")]
    pub attach: Vec<PathBuf>,
    /// A draft as JSON, in place of the options above; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "cc", "bcc", "text", "html", "attach"])]
    pub draft: Option<PathBuf>,
    /// A whole message to protect as it is, in place of the options above
    #[arg(long, value_name = "FILE", conflicts_with_all = ["draft", "from", "to", "cc", "bcc", "text", "html", "attach"])]
    pub message: Option<PathBuf>,
    #[arg(long)]
    pub sign: bool,
    #[arg(long)]
    pub encrypt: bool,
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,
    #[arg(long, value_enum)]
    pub scheme: Option<Scheme>,
    /// Which header fields are hidden outside (RFC 9788)
    #[arg(long, value_enum, default_value_t)]
    pub headers: Headers,
    /// Attach the sender's certificate
    #[arg(long)]
    pub attach_key: bool,
    /// Seal for the sender alone, to go on writing later
    #[arg(long)]
    pub as_draft: bool,
    /// Write 1.eml, 2.eml … and sent.eml into this folder
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    #[default]
    Auto,
    Openpgp,
    Smime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheme {
    Mime,
    Inline,
    Opaque,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Headers {
    #[default]
    Baseline,
    Shy,
    None,
}

#[derive(Debug, Subcommand)]
pub enum Anchors {
    /// All of them, yours first
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Let an authority vouch
    Add {
        /// Its certificate; - is standard input
        file: PathBuf,
        /// Only for addresses at this domain; may be given several times
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Take back what was added
    Remove {
        /// As list shows it
        fingerprint: String,
        #[command(flatten)]
        common: Common,
    },
}

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
        /// Write the request for an authority's certificate (PKCS#10, DER) into FILE
        #[arg(long, value_name = "FILE", requires = "smime")]
        request: Option<PathBuf>,
        /// An instant (RFC 3339); an OpenPGP key does not expire when absent
        #[arg(long, value_name = "INSTANT")]
        expires: Option<String>,
        /// Ask for no passphrase: the key is as safe as this account's files
        #[arg(long)]
        no_passphrase: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Take in certificates and secret keys
    Import {
        /// A file of them; - is standard input
        file: PathBuf,
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
    /// Give one of yours another end; of S/MIME, make a request for its authority
    Renew {
        #[command(flatten)]
        key: OneKey,
        /// The new end, an instant (RFC 3339)
        #[arg(long, value_name = "INSTANT")]
        expires: String,
        /// Write the request for an authority (PKCS#10, DER) into FILE
        #[arg(long, value_name = "FILE")]
        request: Option<PathBuf>,
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

#[derive(Debug, Subcommand)]
pub enum Text {
    /// Decrypt the armored blocks in a text
    Decrypt(TextIn),
    /// Verify the signed parts of a text
    Verify(TextIn),
    /// Encrypt a text
    Encrypt {
        #[arg(long, required = true)]
        to: Vec<String>,
        #[arg(long)]
        sign: bool,
        #[command(flatten)]
        text: TextIn,
    },
    /// Sign a text
    Sign {
        /// Who signs; needed only with several keys
        #[arg(long)]
        from: Option<String>,
        #[command(flatten)]
        text: TextIn,
    },
}

#[derive(Debug, Args)]
pub struct TextIn {
    /// The text; - is standard input
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// Who ought to have signed
    #[arg(long, value_name = "ADDRESS")]
    pub expect: Option<String>,
    #[command(flatten)]
    pub common: Common,
}
