//! The words of the command line, as clap reads them. No meaning here, only form.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use super::key_args::{Keys, Level, OneKey, Profile, PublishVia, Reason, SubkeyUse, Via};

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
    /// Begin an answer to a message: prints a draft for seal --draft
    Answer(Answer),
    /// Look after certificates and secret keys
    #[command(subcommand)]
    Keys(Keys),
    /// Authorities that may vouch for S/MIME certificates
    #[command(subcommand)]
    Anchors(Anchors),
    /// What mail said of correspondents, and what you wish for mail to you
    #[command(subcommand)]
    Autocrypt(Autocrypt),
    /// The rules in force, and who set each
    Policy {
        #[command(flatten)]
        common: Common,
    },
    /// Look whether everything that is needed is there, and say what to do where it is not
    Doctor {
        #[command(flatten)]
        common: Common,
    },
    /// Tell browsers and Thunderbird where this program is, and which extensions may start it
    Install(Install),
    /// Take back what install did
    Uninstall(Uninstall),
    /// Put everything that is in the key store into one file, under a passphrase that is asked for
    Backup {
        /// A new file
        file: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Take up what is in a backup; what is here already and newer stays
    Restore {
        /// The backup; - is standard input
        file: PathBuf,
        #[command(flatten)]
        common: Common,
    },
    /// Small texts without a message around them
    #[command(subcommand)]
    Text(Text),
    /// Hold unlocked keys for all hosts of this person; they start it by themselves
    #[cfg(unix)]
    Agent {
        /// Lock everything and end the one that runs
        #[arg(long)]
        end: bool,
    },
    /// Show the main job with two made-up people; touches no key of yours
    Demo,
    /// Stateless OpenPGP: keys and messages in, keys and messages out; see sop --help
    #[command(disable_help_flag = true)]
    Sop {
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "SUBCOMMAND"
        )]
        arguments: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Args)]
pub struct Install {
    /// An extension that may talk to it: chrome-extension://ID/, or the id of an add-on for
    /// Firefox and Thunderbird; may be given several times. Those that may already stay
    #[arg(
        long,
        value_name = "EXTENSION",
        required_unless_present = "as_gpgme_json"
    )]
    pub allow: Vec<String>,
    /// Answer as GnuPG's host too, which Mailvelope looks for (gpgmejson)
    #[arg(long)]
    pub as_gpgme_json: bool,
    /// Put another program's host of that name aside; uninstall puts it back
    #[arg(long, requires = "as_gpgme_json")]
    pub replace: bool,
    #[command(flatten)]
    pub places: Places,
    /// Write nothing; say what would be
    #[arg(long)]
    pub dry_run: bool,
    /// Write nothing; print the manifests
    #[arg(long, conflicts_with_all = ["dry_run", "json"])]
    pub print: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
pub struct Uninstall {
    #[command(flatten)]
    pub places: Places,
    #[command(flatten)]
    pub common: Common,
}

/// Which browsers' folders.
#[derive(Debug, Args)]
pub struct Places {
    /// One browser: chromium, chrome, edge, brave, vivaldi, opera, firefox, thunderbird,
    /// librewolf; may be given several times. Without it, those that you use
    #[arg(long, value_name = "NAME")]
    pub browser: Vec<String>,
    /// For everybody on this machine
    #[arg(long)]
    pub system: bool,
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
    /// A draft as JSON, in place of the text; - is standard input. More recipients and files may
    /// be added
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "text", "html"])]
    pub draft: Option<PathBuf>,
    /// A whole message to protect as it is, in place of the options above
    #[arg(long, value_name = "FILE", conflicts_with_all = ["draft", "from", "to", "cc", "bcc", "text", "html", "attach"])]
    pub message: Option<PathBuf>,
    /// The message that this answers: what it hid stays hidden
    #[arg(long, value_name = "FILE")]
    pub answering: Option<PathBuf>,
    #[arg(long)]
    pub sign: bool,
    #[arg(long)]
    pub encrypt: bool,
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,
    #[arg(long, value_enum)]
    pub scheme: Option<Scheme>,
    /// Which header fields are hidden outside (RFC 9788); baseline unless it is said, and none
    /// where the scheme is inline
    #[arg(long, value_enum)]
    pub headers: Option<Headers>,
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

#[derive(Debug, Args)]
pub struct Answer {
    /// The message; - is standard input
    pub file: PathBuf,
    /// Answer everybody whom it went to
    #[arg(long, conflicts_with = "forward")]
    pub all: bool,
    /// Give it on to somebody else
    #[arg(long)]
    pub forward: bool,
    /// Quote its text even where nothing binds that to the person answered
    #[arg(long)]
    pub quote_anyway: bool,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Headers {
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
pub enum Autocrypt {
    /// What is known of a correspondent
    Peer {
        address: String,
        #[command(flatten)]
        common: Common,
    },
    /// Say, or see, what you wish for mail to one of your addresses
    Prefer {
        /// The address of yours
        address: String,
        #[arg(value_enum)]
        wish: Option<Wish>,
        #[command(flatten)]
        common: Common,
    },
    /// Make a message to yourself that brings a key to another device; its code is shown here
    Setup {
        #[command(flatten)]
        key: OneKey,
        /// The address of yours to send it to
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wish {
    /// Encrypted, wherever both sides wish so
    Mutual,
    Nopreference,
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
