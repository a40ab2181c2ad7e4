//! `sealpost policy`: the rules in force, and who set each.

use serde_json::Value;

use super::print;
use super::session::Session;
use crate::base::policy::Origin;
use crate::base::{Error, Result};
use crate::verbs::policy::{self, ShowReply, ShowRequest};

/// Prints them.
///
/// # Errors
/// `policy.refused` where they can't be read.
pub fn run(json: bool, session: &Session) -> Result<()> {
    let reply = session.run(|world, cx| policy::show(world, &ShowRequest {}, cx))?;
    match json {
        true => print::json(&reply),
        false => print::out(&table(&reply)?),
    }
}

fn table(reply: &ShowReply) -> Result<String> {
    let told = |e| Error::internal("the rules can't be told").because(e);
    let rules = match serde_json::to_value(&reply.policy).map_err(told)? {
        Value::Object(rules) => rules,
        _ => serde_json::Map::new(),
    };
    // Whatever is a rule of its own has an origin of its own.
    let mut flat: Vec<(String, Value)> = Vec::new();
    for (rule, value) in rules {
        match value {
            Value::Object(section) if !reply.origins.contains_key(&rule) => {
                let named = |(name, value)| (format!("{rule}.{name}"), value);
                flat.extend(section.into_iter().map(named));
            }
            value => flat.push((rule, value)),
        }
    }
    let rows: Vec<_> = flat
        .iter()
        .map(|(rule, value)| {
            let origin = match reply.origins.get(rule) {
                Some(Origin::Person) => "yours",
                Some(Origin::Administrator) => "the administrator's",
                Some(Origin::Both) => "the administrator's and yours",
                Some(Origin::Default) | None => "default",
            };
            vec![
                rule.clone(),
                print::plain(&value.to_string()),
                origin.to_owned(),
            ]
        })
        .collect();
    Ok(print::table(&rows))
}
