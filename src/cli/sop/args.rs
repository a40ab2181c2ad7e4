//! The interface's subcommands and options, as clap reads them. No meaning here, only form.
//!
//! Wherever a file is named, it may be `@ENV:NAME` (an environment variable; for input alone) or
//! `@FD:N` (an open descriptor).

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Stateless OpenPGP: keys and messages in, keys and messages out.
///
/// What is read comes from standard input and from the files that are named: FILE, @ENV:NAME or
/// @FD:N. Nothing is kept, and nobody is asked anything.
#[derive(Debug, Parser)]
#[command(
    name = "sop",
    disable_version_flag = true,
    disable_help_subcommand = true,
    max_term_width = 90
)]
pub struct Cli {
    /// Say more of what went wrong
    #[arg(long, global = true)]
    pub debug: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What this program is
    Version(Version),
    /// The profiles that a subcommand has, the default first
    ListProfiles { subcommand: String },
    /// Make a key
    GenerateKey(GenerateKey),
    /// Put a key under another password, or none
    ChangeKeyPassword(ChangeKeyPassword),
    /// A certificate that says that its key counts no more
    RevokeKey(RevokeKey),
    /// The certificate of a key
    ExtractCert(Armored),
    /// Make an old key sound again
    UpdateKey(UpdateKey),
    /// Add what other copies of certificates have to those that come in
    MergeCerts(MergeCerts),
    /// Say that user ids are those of a certificate's owner
    CertifyUserid(CertifyUserid),
    /// See whether somebody has said that a user id is that of a certificate's owner
    ValidateUserid(ValidateUserid),
    /// Sign, the signatures apart
    Sign(Sign),
    /// Verify signatures that stand apart
    Verify(Verify),
    /// Encrypt, and sign
    Encrypt(Encrypt),
    /// Decrypt, and verify
    Decrypt(Decrypt),
    /// Put ASCII armor around something
    Armor,
    /// Take ASCII armor off
    Dearmor,
    /// Take the signatures out of a signed message
    InlineDetach(InlineDetach),
    /// Verify a signed message
    InlineVerify(InlineVerify),
    /// Sign, message and signatures in one
    InlineSign(InlineSign),
}

#[derive(Debug, Args)]
pub struct Version {
    /// What does the cryptography
    #[arg(long, conflicts_with_all = ["extended", "sop_spec", "sopv"])]
    pub backend: bool,
    /// All of it
    #[arg(long, conflicts_with_all = ["sop_spec", "sopv"])]
    pub extended: bool,
    /// The draft that this follows
    #[arg(long, conflicts_with = "sopv")]
    pub sop_spec: bool,
    /// The version of the subset for verifying
    #[arg(long)]
    pub sopv: bool,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct Armored {
    /// Write binary data
    #[arg(long)]
    pub no_armor: bool,
}

#[derive(Debug, Args)]
pub struct KeyPasswords {
    /// A password that may open a key; may be given several times
    #[arg(long, value_name = "FILE")]
    pub with_key_password: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct GenerateKey {
    #[command(flatten)]
    pub armored: Armored,
    /// See list-profiles
    #[arg(long)]
    pub profile: Option<String>,
    /// Without a subkey that is encrypted to
    #[arg(long)]
    pub signing_only: bool,
    /// The password that it is to lie under
    #[arg(long, value_name = "FILE")]
    pub with_key_password: Option<OsString>,
    #[arg(value_name = "USERID")]
    pub user_ids: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ChangeKeyPassword {
    #[command(flatten)]
    pub armored: Armored,
    /// The new one; without it there is none from then on
    #[arg(long, value_name = "FILE")]
    pub new_key_password: Option<OsString>,
    /// A password that may open it now; may be given several times
    #[arg(long, value_name = "FILE")]
    pub old_key_password: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct RevokeKey {
    #[command(flatten)]
    pub armored: Armored,
    #[command(flatten)]
    pub passwords: KeyPasswords,
}

#[derive(Debug, Args)]
pub struct UpdateKey {
    #[command(flatten)]
    pub armored: Armored,
    /// Add nothing that is encrypted to
    #[arg(long)]
    pub signing_only: bool,
    /// Add no subkey for what the key can't do yet
    #[arg(long)]
    pub no_added_capabilities: bool,
    /// Revoke subkeys of broken algorithms
    #[arg(long)]
    pub revoke_deprecated_keys: bool,
    #[command(flatten)]
    pub passwords: KeyPasswords,
    /// Other copies of the certificate, whose content is added
    #[arg(long, value_name = "CERTS")]
    pub merge_certs: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct MergeCerts {
    #[command(flatten)]
    pub armored: Armored,
    #[arg(value_name = "CERTS")]
    pub certs: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct CertifyUserid {
    #[command(flatten)]
    pub armored: Armored,
    /// May be given several times
    #[arg(long = "userid", value_name = "USERID", required = true)]
    pub user_ids: Vec<String>,
    #[command(flatten)]
    pub passwords: KeyPasswords,
    /// Even where the certificate itself does not say so
    #[arg(long)]
    pub no_require_self_sig: bool,
    #[arg(value_name = "KEYS", required = true)]
    pub keys: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct ValidateUserid {
    /// USERID is an address, which the user id holds
    #[arg(long)]
    pub addr_spec_only: bool,
    /// The instant to judge by
    #[arg(long, value_name = "DATE")]
    pub validate_at: Option<String>,
    #[arg(value_name = "USERID")]
    pub user_id: String,
    /// Those who may say so
    #[arg(value_name = "CERTS", required = true)]
    pub authorities: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum As {
    #[default]
    Binary,
    Text,
}

#[derive(Debug, Args)]
pub struct Sign {
    #[command(flatten)]
    pub armored: Armored,
    #[arg(long = "as", value_enum, default_value_t)]
    pub r#as: As,
    /// Write what the micalg parameter of a signed mail has to say
    #[arg(long, value_name = "FILE")]
    pub micalg_out: Option<OsString>,
    #[command(flatten)]
    pub passwords: KeyPasswords,
    #[arg(value_name = "KEYS", required = true)]
    pub keys: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct Range {
    /// Signatures before this don't count: ISO 8601, - (no limit) or now
    #[arg(long, value_name = "DATE")]
    pub not_before: Option<String>,
    /// Signatures after this don't count: ISO 8601, - (no limit) or now
    #[arg(long, value_name = "DATE")]
    pub not_after: Option<String>,
}

#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    pub range: Range,
    pub signatures: OsString,
    #[arg(value_name = "CERTS", required = true)]
    pub certs: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum For {
    #[default]
    Any,
    Communications,
    Storage,
}

#[derive(Debug, Args)]
pub struct Encrypt {
    #[command(flatten)]
    pub armored: Armored,
    #[arg(long = "as", value_enum, default_value_t)]
    pub r#as: As,
    /// What the recipients' keys are for
    #[arg(long = "for", value_enum, default_value_t)]
    pub r#for: For,
    /// A password that opens it; may be given several times
    #[arg(long, value_name = "FILE")]
    pub with_password: Vec<OsString>,
    /// Keys to sign with; may be given several times
    #[arg(long, value_name = "KEYS")]
    pub sign_with: Vec<OsString>,
    #[command(flatten)]
    pub passwords: KeyPasswords,
    /// See list-profiles
    #[arg(long)]
    pub profile: Option<String>,
    #[arg(long, value_name = "FILE")]
    pub session_key_out: Option<OsString>,
    #[arg(value_name = "CERTS")]
    pub certs: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct Decrypt {
    #[arg(long, value_name = "FILE")]
    pub session_key_out: Option<OsString>,
    /// May be given several times
    #[arg(long, value_name = "FILE")]
    pub with_session_key: Vec<OsString>,
    /// May be given several times
    #[arg(long, value_name = "FILE")]
    pub with_password: Vec<OsString>,
    #[arg(long, alias = "verify-out", value_name = "FILE")]
    pub verifications_out: Option<OsString>,
    /// Those who may have signed; may be given several times
    #[arg(long, value_name = "CERTS")]
    pub verify_with: Vec<OsString>,
    /// Signatures before this don't count: ISO 8601, - (no limit) or now
    #[arg(long, value_name = "DATE")]
    pub verify_not_before: Option<String>,
    /// Signatures after this don't count: ISO 8601, - (no limit) or now
    #[arg(long, value_name = "DATE")]
    pub verify_not_after: Option<String>,
    #[command(flatten)]
    pub passwords: KeyPasswords,
    #[arg(value_name = "KEYS")]
    pub keys: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct InlineDetach {
    #[command(flatten)]
    pub armored: Armored,
    #[arg(long, value_name = "FILE", required = true)]
    pub signatures_out: OsString,
}

#[derive(Debug, Args)]
pub struct InlineVerify {
    #[command(flatten)]
    pub range: Range,
    #[arg(long, value_name = "FILE")]
    pub verifications_out: Option<OsString>,
    #[arg(value_name = "CERTS", required = true)]
    pub certs: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum InlineAs {
    #[default]
    Binary,
    Text,
    Clearsigned,
}

#[derive(Debug, Args)]
pub struct InlineSign {
    #[command(flatten)]
    pub armored: Armored,
    #[arg(long = "as", value_enum, default_value_t)]
    pub r#as: InlineAs,
    #[command(flatten)]
    pub passwords: KeyPasswords,
    #[arg(value_name = "KEYS", required = true)]
    pub keys: Vec<OsString>,
}
