//! The programs that are installed, as [`GnuPg`].

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::assuan::{self, Assuan, Fault, Turn};
use super::program::Bounds;
use super::{list, program};

use crate::base::Secret;
use crate::base::error::{Error, KeyUse, Kind, Result};
use crate::base::gnupg::{Access, GnuPg, Listed, Value, Whose};
use crate::base::job::Job;
use crate::base::keys::Protocol;

/// Certificates for which `gpg` is called once: as many names as a command line holds.
const EXPORTED_AT_ONCE: usize = 500;

/// How long a keyring may take to come over: many thousands of certificates do in a minute.
const EXPORT: Duration = Duration::from_secs(5 * 60);

/// What the agent's socket is called.
const SOCKET: &str = "S.gpg-agent";

/// The GnuPG whose home folder is `home`.
pub fn gnupg(home: PathBuf) -> Arc<dyn GnuPg> {
    Arc::new(Installed {
        home,
        socket: Mutex::default(),
    })
}

/// What a whole keyring may take.
const ALL: Bounds = Bounds::of(Whose::All, program::OUTPUT_MAX);

/// The program that has a family's keyring.
fn program_of(family: Protocol) -> &'static str {
    match family {
        Protocol::OpenPgp => "gpg",
        Protocol::Smime => "gpgsm",
    }
}

/// The programs that are installed.
struct Installed {
    home: PathBuf,
    /// Where the agent was found.
    socket: Mutex<Option<PathBuf>>,
}

impl Installed {
    /// A conversation that has just begun.
    fn connect<'a>(&self, job: &'a Job) -> Result<Assuan<'a>> {
        let known = self.known().clone();
        for socket in known.into_iter().chain(self.usual()) {
            match Assuan::connect(&socket, job) {
                Ok(assuan) => {
                    *self.known() = Some(socket);
                    return Ok(assuan);
                }
                // It is there and does not answer: to look for it once more changes nothing.
                Err(Fault::Broken(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(broken(error, job));
                }
                Err(_) => {}
            }
        }
        let socket = program::agent_socket(job)?;
        let assuan = Assuan::connect(&socket, job);
        let assuan = assuan.map_err(|fault| translated(fault, KeyUse::Decrypt, job))?;
        *self.known() = Some(socket);
        Ok(assuan)
    }

    /// Where an agent that runs already listens, as a rule: to ask where that is costs three
    /// programs.
    fn usual(&self) -> Vec<PathBuf> {
        let mut usual = Vec::new();
        if std::env::home_dir().is_some_and(|home| home.join(".gnupg") == self.home) {
            let user = rustix::process::getuid().as_raw();
            usual.push(PathBuf::from(format!("/run/user/{user}/gnupg")).join(SOCKET));
        }
        usual.push(self.home.join(SOCKET));
        usual
    }

    /// Where the agent was found. Nothing is waited for while this is held.
    fn known(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A conversation about one key, ready for the operation.
    fn about<'a>(&self, key: Key<'_>, access: Access<'_>, job: &'a Job) -> Result<Assuan<'a>> {
        let told = |fault| translated(fault, key.to, job);
        let mut assuan = self.connect(job)?;
        for name in [
            "DISPLAY",
            "GPG_TTY",
            "TERM",
            "XAUTHORITY",
            "WAYLAND_DISPLAY",
        ] {
            if let Some(option) = option(name) {
                // One that the agent does not know changes nothing.
                take(&mut assuan, &option).map_err(told)?;
            }
        }
        let asks = match access {
            Access::Asking => true,
            Access::Silent => {
                match take(&mut assuan, "OPTION pinentry-mode=error").map_err(told)? {
                    true => false,
                    // It may do what it likes.
                    false => return Err(told(Fault::Wanted)),
                }
            }
            // Where loopback is not allowed the agent asks by itself.
            Access::Remembered | Access::With(_) => {
                !take(&mut assuan, "OPTION pinentry-mode=loopback").map_err(told)?
            }
        };
        assuan
            .command(&format!("SETKEY {}", key.grip), &[])
            .map_err(told)?;
        assuan.wait_for(match asks {
            true => Turn::Person,
            false => Turn::Agent,
        });
        Ok(assuan)
    }
}

/// A key of the agent's, and what it is to do.
#[derive(Clone, Copy)]
struct Key<'a> {
    grip: &'a str,
    to: KeyUse,
}

/// Sets an option; false when the agent does not want it.
fn take(assuan: &mut Assuan<'_>, option: &str) -> Result<bool, Fault> {
    match assuan.command(option, &[]) {
        Ok(_) => Ok(true),
        Err(Fault::Said(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// The agent's name for a piece of the surroundings in which it may have to ask.
fn option(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let plain = !value.is_empty() && value.len() < 256 && !value.contains(char::is_control);
    let said = match name {
        "DISPLAY" => format!("display={value}"),
        "GPG_TTY" => format!("ttyname={value}"),
        "TERM" => format!("ttytype={value}"),
        _ => format!("putenv={name}={value}"),
    };
    plain.then(|| format!("OPTION {said}"))
}

impl GnuPg for Installed {
    fn files(&self) -> Vec<PathBuf> {
        [
            "pubring.kbx",
            "pubring.gpg",
            "public-keys.d/pubring.db",
            "private-keys-v1.d",
        ]
        .iter()
        .map(|name| self.home.join(name))
        .collect()
    }

    fn list(&self, whose: Whose, job: &Job) -> Result<Vec<Listed>> {
        let what = match whose {
            Whose::Own => "--list-secret-keys",
            Whose::All => "--list-keys",
        };
        let arguments = [
            "--batch",
            "--no-tty",
            "--with-colons",
            "--with-keygrip",
            what,
        ];
        let bounds = Bounds::of(whose, program::OUTPUT_MAX);
        let text = program::output("gpg", &arguments, bounds, job)?;
        Ok(list::read(&String::from_utf8_lossy(&text)))
    }

    fn export(&self, fingerprints: &[String], whose: Whose, job: &Job) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let begun = Instant::now();
        for some in fingerprints.chunks(EXPORTED_AT_ONCE) {
            if begun.elapsed() > EXPORT {
                return Err(program::failed());
            }
            // Whatever gpg.conf says.
            let mut arguments = vec!["--batch", "--no-tty", "--no-armor", "--export", "--"];
            arguments.extend(some.iter().map(String::as_str));
            let left = program::OUTPUT_MAX.saturating_sub(all.len());
            let bounds = Bounds::of(whose, left);
            all.append(&mut program::output("gpg", &arguments, bounds, job)?);
        }
        Ok(all)
    }

    fn trust_files(&self) -> Vec<PathBuf> {
        [
            "trustdb.gpg",
            "tofu.db",
            "gpg.conf",
            "trustlist.txt",
            "gpgsm.conf",
        ]
        .iter()
        .map(|name| self.home.join(name))
        .collect()
    }

    fn options_file(&self) -> PathBuf {
        self.home.join("gpg.conf")
    }

    fn listing(&self, of: Protocol, job: &Job) -> Result<String> {
        let own: &[&str] = match of {
            Protocol::OpenPgp => &["--fixed-list-mode", "--with-keygrip"],
            Protocol::Smime => &[],
        };
        let mut arguments = vec!["--batch", "--no-tty", "--with-colons", "--with-secret"];
        arguments.extend(own);
        arguments.push("--list-keys");
        let text = program::output(program_of(of), &arguments, ALL, job)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn keyring(&self, of: Protocol, job: &Job) -> Result<Vec<u8>> {
        let form = match of {
            Protocol::OpenPgp => "--no-armor",
            Protocol::Smime => "--armor",
        };
        let arguments = ["--batch", "--no-tty", form, "--export"];
        program::output(program_of(of), &arguments, ALL, job)
    }

    fn on_card(&self, grip: &str, to: KeyUse, job: &Job) -> Result<bool> {
        let mut assuan = self.connect(job)?;
        let given = assuan
            .command(&format!("KEYINFO {grip}"), &[])
            .map_err(|fault| translated(fault, to, job))?;
        // KEYINFO, the grip, then the type.
        let kind = given
            .status
            .iter()
            .find_map(|line| line.strip_prefix("KEYINFO ")?.split(' ').nth(1));
        Ok(kind == Some("T"))
    }

    fn sign(
        &self,
        grip: &str,
        (hash, digest): (u8, &[u8]),
        access: Access<'_>,
        job: &Job,
    ) -> Result<Secret> {
        let key = Key {
            grip,
            to: KeyUse::Sign,
        };
        let mut assuan = self.about(key, access, job)?;
        let hex: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        let given = assuan
            .command(&format!("SETHASH {hash} {hex}"), &[])
            .and_then(|_| assuan.command("PKSIGN", &passphrase(access)));
        let given = given.map_err(|fault| translated(fault, key.to, job))?;
        given.data.ok_or_else(program::failed)
    }

    fn decrypt(
        &self,
        grip: &str,
        expression: &[u8],
        access: Access<'_>,
        job: &Job,
    ) -> Result<Value> {
        let key = Key {
            grip,
            to: KeyUse::Decrypt,
        };
        let mut assuan = self.about(key, access, job)?;
        let mut answers = passphrase(access);
        answers.push(("CIPHERTEXT", expression));
        let given = assuan
            .command("PKDECRYPT", &answers)
            .map_err(|fault| match fault {
                // What it says of the ciphertext is not passed on.
                Fault::Said(code) if !about_keys(code) => Error::decrypt_failed(),
                fault => translated(fault, key.to, job),
            })?;
        Ok(Value {
            expression: given.data.ok_or_else(Error::decrypt_failed)?,
            padded: !given.status.iter().any(|line| line == "PADDING 0"),
        })
    }
}

fn passphrase(access: Access<'_>) -> Vec<(&'static str, &[u8])> {
    match access {
        Access::With(secret) => vec![("PASSPHRASE", secret.expose())],
        Access::Remembered | Access::Silent | Access::Asking => Vec::new(),
    }
}

/// Whether an error code is about the key or its passphrase, and not about what it was used on.
fn about_keys(code: u32) -> bool {
    matches!(
        code,
        assuan::NO_SECRET_KEY
            | assuan::BAD_PASSPHRASE
            | assuan::NOT_FOUND
            | assuan::BAD_PIN
            | assuan::CANCELED
            | assuan::FULLY_CANCELED
            | assuan::NO_PIN_ENTRY
            | assuan::TIMEOUT
            | assuan::CARD_REMOVED
            | assuan::CARD_NOT_PRESENT
            | assuan::NO_SCDAEMON
    )
}

/// An agent that can't be spoken to, unless nobody wants to any more.
fn broken(error: io::Error, job: &Job) -> Error {
    match job.check() {
        Ok(()) => program::failed().because(error),
        Err(cancelled) => cancelled,
    }
}

fn translated(fault: Fault, to: KeyUse, job: &Job) -> Error {
    let (kind, message) = match fault {
        Fault::Broken(error) => return broken(error, job),
        Fault::Wanted => (
            Kind::PassphraseUnavailable,
            "GnuPG's agent wants the key's passphrase",
        ),
        Fault::Said(code) => match code {
            assuan::NO_SECRET_KEY
            | assuan::NOT_FOUND
            | assuan::CARD_REMOVED
            | assuan::CARD_NOT_PRESENT
            | assuan::NO_SCDAEMON => (
                Kind::KeyMissing {
                    r#for: to,
                    addresses: Vec::new(),
                    key_ids: Vec::new(),
                },
                "GnuPG's agent does not have this secret key any more; put its card in, or import it again",
            ),
            assuan::BAD_PASSPHRASE | assuan::BAD_PIN => {
                (Kind::PassphraseWrong, "the passphrase is wrong; try again")
            }
            assuan::CANCELED | assuan::FULLY_CANCELED | assuan::TIMEOUT => (
                Kind::PassphraseCancelled,
                "the question for the passphrase was dismissed; try again to be asked again",
            ),
            assuan::NO_PIN_ENTRY => (
                Kind::PassphraseUnavailable,
                "GnuPG's agent can ask nobody; install pinentry",
            ),
            _ => return program::failed(),
        },
    };
    Error::new(kind, message)
}
