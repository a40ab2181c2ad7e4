//! The programs that are installed, as [`GnuPg`].

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::assuan::{self, Assuan, Fault};
use super::{list, program};

use crate::base::Secret;
use crate::base::error::{Error, KeyUse, Kind, Result};
use crate::base::gnupg::{Access, GnuPg, Listed, Value, Whose};
use crate::base::job::Job;

/// Certificates for which `gpg` is called once: as many names as a command line holds.
const EXPORTED_AT_ONCE: usize = 500;

/// The GnuPG whose home folder is `home`.
pub fn gnupg(home: PathBuf) -> Arc<dyn GnuPg> {
    Arc::new(Installed {
        home,
        socket: Mutex::default(),
    })
}

/// The programs that are installed.
struct Installed {
    home: PathBuf,
    /// Where the agent was found.
    socket: Mutex<Option<PathBuf>>,
}

impl Installed {
    fn connect(&self) -> Result<Assuan> {
        let mut known = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = known.as_deref()
            && let Ok(assuan) = Assuan::connect(socket)
        {
            return Ok(assuan);
        }
        let socket = program::agent_socket(&Job::default())?;
        let assuan = Assuan::connect(&socket).map_err(|fault| translated(fault, ""))?;
        *known = Some(socket);
        Ok(assuan)
    }

    /// A conversation about one key, ready for the operation.
    fn about(&self, keygrip: &str, access: Access<'_>) -> Result<Assuan> {
        let mut assuan = self.connect()?;
        let mut say = |command: &str| assuan.command(command, &[]);
        for name in [
            "DISPLAY",
            "GPG_TTY",
            "TERM",
            "XAUTHORITY",
            "WAYLAND_DISPLAY",
        ] {
            if let Some(option) = option(name) {
                // One that the agent does not know changes nothing.
                let _ = say(&option);
            }
        }
        if !matches!(access, Access::Asking) {
            // Where loopback is not allowed the agent asks by itself.
            let _ = say("OPTION pinentry-mode=loopback");
        }
        say(&format!("SETKEY {keygrip}")).map_err(|fault| translated(fault, keygrip))?;
        if matches!(access, Access::Asking) {
            assuan
                .wait_for_person()
                .map_err(|fault| translated(fault, keygrip))?;
        }
        Ok(assuan)
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
        let text = program::output("gpg", &arguments, job)?;
        Ok(list::read(&String::from_utf8_lossy(&text)))
    }

    fn export(&self, fingerprints: &[String], job: &Job) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        for some in fingerprints.chunks(EXPORTED_AT_ONCE) {
            let mut arguments = vec!["--batch", "--no-tty", "--export", "--"];
            arguments.extend(some.iter().map(String::as_str));
            all.append(&mut program::output("gpg", &arguments, job)?);
        }
        Ok(all)
    }

    fn on_card(&self, keygrip: &str) -> Result<bool> {
        let mut assuan = self.connect()?;
        let given = assuan
            .command(&format!("KEYINFO {keygrip}"), &[])
            .map_err(|fault| translated(fault, keygrip))?;
        // KEYINFO, the grip, then the type.
        let kind = given
            .status
            .iter()
            .find_map(|line| line.strip_prefix("KEYINFO ")?.split(' ').nth(1));
        Ok(kind == Some("T"))
    }

    fn sign(&self, keygrip: &str, hash: u8, digest: &[u8], access: Access<'_>) -> Result<Secret> {
        let mut assuan = self.about(keygrip, access)?;
        let hex: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        let given = assuan
            .command(&format!("SETHASH {hash} {hex}"), &[])
            .and_then(|_| assuan.command("PKSIGN", &passphrase(access)));
        let given = given.map_err(|fault| translated(fault, keygrip))?;
        given.data.ok_or_else(program::failed)
    }

    fn decrypt(&self, keygrip: &str, expression: &[u8], access: Access<'_>) -> Result<Value> {
        let mut assuan = self.about(keygrip, access)?;
        let mut answers = passphrase(access);
        answers.push(("CIPHERTEXT", expression));
        let given = assuan
            .command("PKDECRYPT", &answers)
            .map_err(|fault| match fault {
                // What it says of the ciphertext is not passed on.
                Fault::Said(code) if !about_keys(code) => Error::decrypt_failed(),
                fault => translated(fault, keygrip),
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
        Access::Remembered | Access::Asking => Vec::new(),
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

fn translated(fault: Fault, keygrip: &str) -> Error {
    let (kind, message) = match fault {
        Fault::Broken(error) => return program::failed().because(error),
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
                    r#for: KeyUse::Decrypt,
                    addresses: Vec::new(),
                    key_ids: vec![keygrip.to_owned()],
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
