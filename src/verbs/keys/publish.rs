//! Giving out own keys: to a server of keys, or as files for the key directory of one's domain.

use bytes::Bytes;

use super::life::own;
use super::{PublishReply, PublishRequest, PublishState, PublishVia, PublishedFile, discover};
use crate::base::context::unix;
use crate::base::keys::Protocol;
use crate::base::network::Upload;
use crate::base::policy::Discovery;
use crate::base::{Address, Body, Context, Error, Result};
use crate::engine::{Format, Words};
use crate::net::wkd;
use crate::verbs::World;

/// Addresses of one key that files are made for: with more, somebody lends their key to others.
const ADDRESSES_MAX: usize = 20;

/// `keys/publish`: an own key, without what others signed on it. A server of keys gets it and
/// may ask its owner by mail first; for a key directory come the files to put into the web
/// server's root, both at `openpgpkey.` the domain and at the domain itself.
///
/// # Errors
/// `key.missing`; `request.invalid` for S/MIME and for a key that names no address;
/// `policy.refused`; `network.failed`.
pub fn publish(world: &World, request: &PublishRequest, cx: &Context) -> Result<PublishReply> {
    if request.id.protocol() != Protocol::OpenPgp {
        return Err(Error::invalid(
            "/id",
            "publish OpenPGP keys; S/MIME certificates are published by their authority",
        ));
    }
    let own = own(world, &request.id)?;
    let engine = world.engine(Protocol::OpenPgp)?;
    let addresses = engine.facts(&own.cert, unix(cx.now))?.addresses;
    let public = |addresses: &[Address]| -> Result<Bytes> {
        let only = engine.only_for(&own.cert, addresses, Words::Owner, cx)?;
        only.map(Bytes::from)
            .ok_or_else(|| Error::invalid("/id", "the key names no address; add one to it"))
    };
    match request.via {
        PublishVia::Keyserver => {
            if cx.policy.discovery == Discovery::Never {
                return Err(discover::refused());
            }
            let server = cx.policy.keyservers.first().ok_or_else(discover::refused)?;
            let cert = public(&addresses)?;
            let armored = engine.export(&[cert], Format::Armored)?;
            let armored = String::from_utf8(armored)
                .map_err(|e| Error::internal("armor is no text").because(e))?;
            let fingerprint = request.id.fingerprint();
            let upload =
                world
                    .network
                    .upload(server, &armored, fingerprint, &addresses, &cx.job)?;
            Ok(PublishReply {
                state: match upload {
                    Upload::Published => PublishState::Sent,
                    Upload::AwaitingConfirmation => PublishState::AwaitingConfirmation,
                },
                files: Vec::new(),
            })
        }
        PublishVia::Wkd => {
            let mut files: Vec<PublishedFile> = Vec::new();
            let mut add = |path: String, data: Vec<u8>| {
                if !files.iter().any(|file| file.path == path) {
                    let data = Body::from(data);
                    files.push(PublishedFile { path, data });
                }
            };
            let at_domains = addresses.iter().filter(|address| wkd::has_domain(address));
            for address in at_domains.take(ADDRESSES_MAX) {
                let cert = public(std::slice::from_ref(address))?;
                let binary = engine.export(&[cert], Format::Binary)?;
                add(wkd::advanced_path(address), binary.clone());
                add(wkd::direct_path(address), binary);
                for path in wkd::policy_paths(address) {
                    add(path, Vec::new());
                }
            }
            match files.is_empty() {
                true => Err(Error::invalid(
                    "/id",
                    "the key names no address; add one to it",
                )),
                false => Ok(PublishReply {
                    state: PublishState::ToPlace,
                    files,
                }),
            }
        }
    }
}
