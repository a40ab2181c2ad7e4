//! `sealpost autocrypt …`: what mail said of correspondents, and what is wished for mail.

use super::args::{Autocrypt, Wish};
use super::session::Session;
use super::which::own_of;
use super::{input, print};
use crate::base::autocrypt::PreferEncrypt;
use crate::base::{Address, Error, Protocol, Result};
use crate::verbs::autocrypt::{self, PeerRequest, PeerState, PreferRequest};
use crate::verbs::setup;

/// Runs one of the commands about Autocrypt.
///
/// # Errors
/// As the verb of that name.
pub fn run(command: &Autocrypt, session: &Session) -> Result<()> {
    match command {
        Autocrypt::Peer { address, common } => {
            let address = address_of(address)?;
            let request = PeerRequest { address };
            let reply = session.run(|world, _| autocrypt::peer(world, &request))?;
            if common.json {
                return print::json(&reply);
            }
            match &reply.peer {
                Some(peer) => print::out(&table(peer)),
                None => print::line("nothing is known"),
            }
        }
        Autocrypt::Prefer {
            address,
            wish,
            common,
        } => {
            let request = PreferRequest {
                from: address_of(address)?,
                prefer: wish.map(|wish| match wish {
                    Wish::Mutual => PreferEncrypt::Mutual,
                    Wish::Nopreference => PreferEncrypt::NoPreference,
                }),
            };
            let reply = session.run(|world, cx| autocrypt::prefer(world, &request, cx))?;
            match common.json {
                true => print::json(&reply),
                false => print::line(reply.prefer.name()),
            }
        }
        Autocrypt::Setup {
            key,
            from,
            out,
            common,
        } => {
            let request = setup::Request {
                id: own_of(Protocol::OpenPgp, session, &key.key)?,
                from: from.as_deref().map(address_of).transpose()?,
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| setup::setup(world, &request, cx))?;
            match out {
                _ if common.json => print::json(&reply),
                Some(path) => input::write(path, reply.message.bytes()?),
                None => print::bytes(reply.message.bytes()?),
            }
        }
    }
}

fn address_of(text: &str) -> Result<Address> {
    Address::parse(text).ok_or_else(|| Error::invalid("/address", "give one mail address"))
}

fn table(peer: &PeerState) -> String {
    let key = |id: &Option<crate::base::KeyId>| id.as_ref().map(ToString::to_string);
    let rows = [
        ("Seen:", peer.last_seen.clone()),
        ("Key:", key(&peer.key)),
        ("Offered:", peer.timestamp.clone()),
        ("Wishes:", Some(peer.prefer_encrypt.name().to_owned())),
        ("Passed on:", key(&peer.gossip_key)),
        ("Passed on at:", peer.gossip_timestamp.clone()),
    ];
    let known = rows
        .into_iter()
        .filter_map(|(name, value)| Some(vec![name.to_owned(), value?]));
    print::table(&known.collect::<Vec<_>>())
}
