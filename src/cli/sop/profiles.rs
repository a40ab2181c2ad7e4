//! The profiles of those subcommands that have any, and their other names.

use super::fault::{Code, Failure, Result};
use crate::base::extra::Container;
use crate::engine::Profile;

/// One profile of a subcommand.
pub struct Entry<T> {
    pub name: &'static str,
    pub description: &'static str,
    pub aliases: &'static [&'static str],
    pub means: T,
}

/// What `generate-key` makes, the default first.
pub const GENERATE_KEY: &[Entry<Profile>] = &[
    Entry {
        name: "rfc4880",
        description: "version 4 keys on Curve25519, which every program reads",
        aliases: &["default", "compatibility"],
        means: Profile::Compatible,
    },
    Entry {
        name: "rfc9580",
        description: "version 6 keys: Ed25519 and X25519, authenticated encryption",
        aliases: &["performance"],
        means: Profile::Modern,
    },
    Entry {
        name: "post-quantum@sealpost.org",
        description: "version 6 keys as in RFC 9980: ML-DSA-65+Ed25519 and ML-KEM-768+X25519",
        aliases: &["security"],
        means: Profile::PostQuantum,
    },
];

/// What `encrypt` writes, the default first.
pub const ENCRYPT: &[Entry<Container>] = &[
    Entry {
        name: "recipients@sealpost.org",
        description: "the newest that all recipients say they read; as rfc4880 for passwords alone",
        aliases: &["default"],
        means: Container::Known,
    },
    Entry {
        name: "rfc9580",
        description: "version 2 of the container, Argon2 for passwords",
        aliases: &["security", "performance"],
        means: Container::Aead,
    },
    Entry {
        name: "rfc4880",
        description: "version 1 of the container, iterated and salted passwords",
        aliases: &["compatibility"],
        means: Container::Mdc,
    },
];

/// The profile of this name; the default where there is none.
///
/// # Errors
/// 89 for a name that is not known.
pub fn choose<T: Copy + Default>(name: Option<&str>, all: &[Entry<T>]) -> Result<T> {
    let Some(name) = name else {
        return Ok(T::default());
    };
    let is_named = |entry: &&Entry<T>| entry.name == name || entry.aliases.contains(&name);
    match all.iter().find(is_named) {
        Some(entry) => Ok(entry.means),
        None => Err(unsupported()),
    }
}

/// The profiles of one subcommand, one a line.
///
/// # Errors
/// 89 for a subcommand that has none.
pub fn lines(subcommand: &str) -> Result<String> {
    match subcommand {
        "generate-key" => Ok(list(GENERATE_KEY)),
        "encrypt" => Ok(list(ENCRYPT)),
        _ => Err(unsupported()),
    }
}

fn list<T>(all: &[Entry<T>]) -> String {
    let line = |entry: &Entry<T>| {
        let aliases = entry.aliases.join(", ");
        format!(
            "{}: {} (aliases: {aliases})\n",
            entry.name, entry.description
        )
    };
    all.iter().map(line).collect()
}

fn unsupported() -> Failure {
    Failure::new(
        Code::UnsupportedProfile,
        "there is no such profile; see list-profiles generate-key and list-profiles encrypt",
    )
}

#[cfg(test)]
mod tests {
    use super::{ENCRYPT, GENERATE_KEY};

    #[test]
    fn the_first_profile_is_the_default() {
        assert_eq!(GENERATE_KEY[0].means, Default::default());
        assert_eq!(ENCRYPT[0].means, Default::default());
    }
}
