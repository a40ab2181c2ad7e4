//! `config` and `config_opt`.

use super::{Operation, answer};
use crate::verbs::gpgme::config::{config, option};

pub(super) const CONFIG: Operation = Operation {
    name: "config",
    help: "op: \"config\"\n\n\
        Optional:\n\
        component   the one to be told of\n\n\
        Answer:\n\
        components  for each: name, description, program_name and its options as in config_opt.\n\
        \x20           There is default-key of gpg, and nothing else",
    run: |fields, run| answer(&config(run.world, fields.optional("component")?)?),
};

pub(super) const CONFIG_OPT: Operation = Operation {
    name: "config_opt",
    help: "op: \"config_opt\"\n\
        component  \"gpg\"\n\
        option     \"default-key\"\n\n\
        Answer:\n\
        option     name, description, argname, flags, level, type, alt_type and, where it is\n\
        \x20          set, value. Nothing for any other option",
    run: |fields, run| {
        let component = fields.required("component")?;
        answer(&option(run.world, component, fields.required("option")?)?)
    },
};
