//! `config` and `config_opt`: the one option of GnuPG's that clients of the dialect look at. Read
//! from `gpg.conf` itself: `gpgconf` asks every program of GnuPG's, and takes its time.

use serde::Serialize;

use crate::base::Result;
use crate::verbs::World;

/// The component, and the option, that there are.
const COMPONENT: &str = "gpg";
const OPTION: &str = "default-key";

/// gpgconf's number for text.
const TEXT: u32 = 1;

/// The answer to `config`.
#[derive(Debug, Serialize)]
pub struct Components {
    components: Vec<Component>,
}

#[derive(Debug, Serialize)]
struct Component {
    name: &'static str,
    description: &'static str,
    program_name: &'static str,
    options: Vec<Setting>,
}

/// The answer to `config_opt`; empty for an option that there is none of.
#[derive(Debug, Serialize)]
pub struct Reply {
    #[serde(skip_serializing_if = "Option::is_none")]
    option: Option<Setting>,
}

#[derive(Debug, Serialize)]
struct Setting {
    name: &'static str,
    description: &'static str,
    argname: &'static str,
    flags: u32,
    level: u32,
    r#type: u32,
    alt_type: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<[Value; 1]>,
}

#[derive(Debug, Serialize)]
struct Value {
    string: String,
    is_none: bool,
}

/// All options, of one component or of each.
///
/// # Errors
/// `store.unavailable` when the file can't be read.
pub fn config(world: &World, component: Option<&str>) -> Result<Components> {
    let wanted = component.is_none_or(|name| name == COMPONENT);
    let gpg = || -> Result<Component> {
        Ok(Component {
            name: COMPONENT,
            description: "OpenPGP",
            program_name: "sealpost",
            options: vec![default_key(world)?],
        })
    };
    Ok(Components {
        components: wanted.then(gpg).transpose()?.into_iter().collect(),
    })
}

/// One option.
///
/// # Errors
/// As [`config`].
pub fn option(world: &World, component: &str, option: &str) -> Result<Reply> {
    let known = component == COMPONENT && option == OPTION;
    Ok(Reply {
        option: known.then(|| default_key(world)).transpose()?,
    })
}

/// The key that is taken where several could be.
fn default_key(world: &World) -> Result<Setting> {
    let chosen = match world.gnupg() {
        Some((gnupg, _)) => world.store.gnupg_option(&gnupg.options_file(), OPTION)?,
        None => None,
    };
    Ok(Setting {
        name: OPTION,
        description: "use NAME as default secret key",
        argname: "NAME",
        flags: 0,
        level: 0,
        r#type: TEXT,
        alt_type: TEXT,
        value: chosen.map(|string| {
            [Value {
                string,
                is_none: false,
            }]
        }),
    })
}
