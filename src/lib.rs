//! Sealpost: a native messaging host that gives any mail client end-to-end encryption.
//!
//! A browser or Thunderbird starts this program; an extension talks JSON to it over stdin
//! and stdout. The program parses the message, decrypts and verifies it, or builds, signs
//! and encrypts one, and answers with a verdict. The page that shows the mail never holds a
//! key, and the extension never decides whether a signature is good.
//!
//! # The floors
//!
//! Imports go down only; what stands on one line never imports its neighbour.
//! `tests/floors.rs` enforces both, and the doormen below.
//!
//! ```text
//! main.rs  cli/                  argv -> the host, the commands for people, or sop
//! host/                          reader, workers, one writer, blobs, asking, the log
//! wire/                          frames, JSON-RPC, the table of methods, gpgme-json's dialect
//! verbs/                         open, seal, plan, keys, text: what a person can do
//! mail/ | engine/ | store/         MIME, no crypto | crypto, no MIME | files, opaque bytes
//! net/ | agent/                  HTTP, LDAP | the unlocked keys' own process
//! gnupg/ | tokens/ | desktop/    GnuPG in place | PKCS#11 | the desktop's key store, its locked screen
//! base/                          errors, verdicts, keys, questions, secrets: no I/O
//! ```
//!
//! - [`base`] holds the words everybody shares. The types that go over the wire are defined
//!   there once; reading them top to bottom is reading the protocol.
//! - [`mail`] finds layers by structure and keeps exact byte ranges: a signature is checked
//!   over the bytes as they came. It never touches a key.
//! - [`engine`] opens or seals ONE layer. One trait, two families beside each other.
//! - [`store`] knows files, locks and index rows. Certificates are opaque bytes to it, and
//!   the engines reach them through traits in [`base::keys`].
//! - [`net`] contacts hosts, and only for requests that a person or a policy lets do so. The
//!   engines reach it through [`base::network`].
//! - `agent` carries what needs a private key to the process that holds the unlocked ones, and
//!   is that process. It knows the door ([`base::keys::PrivateKeys`]), not what lies behind.
//! - `gnupg` runs GnuPG's programs and speaks to its agent; [`desktop`] to the desktop. What they
//!   say is made sense of above.
//! - [`tokens`] asks smart cards for what only they can do, by modules that policy names. The
//!   engines reach it through [`base::keys::PrivateKeys`].
//! - [`verbs`] peel layers, join what the three below say, and come to the verdict. No JSON
//!   text, no stdin, no clock: all that comes in with a [`base::Context`].
//! - [`wire`] turns frames into calls of verbs and their results into frames. [`host`] runs
//!   many of them at once; [`cli`] runs one.
//!
//! # The way of a message
//!
//! ```text
//! frame -> envelope -> params -> verb -> MIME tree -> layer -> engine -> verdict -> frame
//! ```
//!
//! Bytes are copied once, out of the frame; from there on everybody holds slices of them.
//! Plaintext leaves an engine only whole, after its integrity check passed, and the bytes
//! that are returned are the bytes that were verified.
//!
//! # Questions
//!
//! No verb waits for a person. One that needs a passphrase or a confirmation ends with an
//! error that carries the question; whoever runs it asks, keeps the answer in the request's
//! [`base::ask::Answers`], and runs it again from its start. So a verb asks before it writes,
//! and a question holds no worker.
//!
//! # Two ways to end
//!
//! `Ok` with a verdict: we looked, this is what we saw. `Err`: we could not look. A bad
//! signature is `Ok`. [`base::Kind`] is the contract's list of errors.
//!
//! # Doormen
//!
//! Each library has one place that may name it, so that its errors are translated and its
//! surprises written down once: byteorder in `wire/frame.rs`, Sequoia in `engine/openpgp`,
//! mail-parser and mail-builder in `mail`, `std::fs` in `store/files`, rusqlite in
//! `store/db.rs`, tar in `store/pieces.rs`, ureq in `net`, LDAP's messages in `net/ldap.rs`, cryptoki
//! in `tokens`, keyring and zbus in `desktop`, serde_json in `wire`, `host`, `cli` and
//! `net/keyserver.rs`.
//!
//! # Where to start reading
//!
//! [`base::verdict`] for what the program is for; [`verbs::open`] for how it gets there;
//! [`engine::Engine`] for what a family of encryption has to do.

#[cfg(unix)]
pub mod agent;
pub mod base;
pub mod cli;
pub mod desktop;
pub mod engine;
pub mod gnupg;
pub mod host;
pub mod mail;
pub mod net;
pub mod store;
pub mod tokens;
pub mod verbs;
pub mod wire;
