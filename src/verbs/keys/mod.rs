//! `keys/*`: looking after certificates and secret keys.

mod accept;
mod change;
mod claim;
mod discover;
mod generate;
mod gnupg;
mod introduce;
mod life;
mod parts;
mod publish;
mod revocation_list;
mod secrets;
mod show;
mod tokens;
mod unlock;

pub use accept::{SettleRequest, accept, settle};
pub(in crate::verbs) use accept::{claimed, lowered, raised_beside};
pub(in crate::verbs) use change::merged;
pub use change::{delete, export, import};
pub(super) use change::{native, new_passphrase, old_passphrase};
pub(in crate::verbs) use claim::{Claim, Half, What, others};
pub use discover::discover;
pub use generate::generate;
pub use introduce::{dismiss, introduce};
pub(in crate::verbs) use life::keep_revocation;
pub use life::{passphrase, renew, revoke};
pub use parts::{AddressRequest, SubkeyRequest, address, subkey};
pub use publish::publish;
pub(in crate::verbs) use revocation_list::is_newer;
pub use show::{list, show};
pub use tokens::{ListedModule, ListedToken, TokensReply, TokensRequest, tokens};
pub use unlock::{lock, unlock};

use serde::{Deserialize, Serialize};

use super::{Ask, Asks};
use crate::base::body::{Bodies, Body};
use crate::base::gnupg::GnuPgState;
use crate::base::keys::{Acceptance, Key, SecretState};
use crate::base::verdict::FoundChange;
use crate::base::{Address, KeyId, Protocol, Result};
use crate::engine::{Format, Profile, Revoking};

/// `keys/list`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ListRequest {
    /// Part of a name, address or key id, upper or lower case.
    pub query: Option<String>,
    pub protocol: Option<Protocol>,
    /// Only those with (or without) a secret half.
    pub secret: Option<bool>,
    /// Only those with an open conflict.
    pub conflicts: bool,
    /// What the page before gave.
    pub cursor: Option<String>,
}

/// One page of keys.
#[derive(Debug, Clone, Serialize)]
pub struct ListReply {
    pub keys: Vec<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Why GnuPG's keys may not be among them as they are there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gnupg: Option<GnuPgState>,
    pub revision: u64,
}

/// `keys/show`, `keys/unlock`, `keys/passphrase`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OneRequest {
    pub id: KeyId,
    #[serde(default)]
    pub ask: Ask,
}

/// One key.
#[derive(Debug, Clone, Serialize)]
pub struct KeyReply {
    pub key: Key,
    pub revision: u64,
}

/// `keys/generate`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenerateRequest {
    pub protocol: Protocol,
    #[serde(default)]
    pub name: Option<String>,
    pub address: Address,
    #[serde(default)]
    pub profile: Profile,
    /// RFC 3339; it does not expire when absent.
    #[serde(default)]
    pub expires: Option<String>,
    pub passphrase: NewPassphrase,
    #[serde(default)]
    pub ask: Ask,
}

/// A new key.
#[derive(Debug, Clone, Serialize)]
pub struct GenerateReply {
    pub key: Key,
    /// A PKCS#10 request to an authority for the same key, DER (S/MIME).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Body>,
    pub revision: u64,
}

/// How a new secret key is protected on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NewPassphrase {
    Ask,
    Keychain,
    None,
}

/// `keys/import`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportRequest {
    #[serde(default)]
    pub data: Option<Body>,
    /// In place of `data`.
    #[serde(default)]
    pub from: Option<ImportFrom>,
    #[serde(default)]
    pub accept: Option<Accept>,
    #[serde(default)]
    pub ask: Ask,
}

/// Another program whose certificates are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportFrom {
    /// GnuPG's keyring. What is accepted is what GnuPG takes for valid.
    Gnupg,
}

/// For which addresses imported keys are accepted.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Accept {
    /// `true`: for all that they name themselves.
    Own(bool),
    /// For these, where they name them.
    These(Vec<Address>),
}

/// What an import did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReply {
    pub imported: Vec<Imported>,
    pub skipped: Vec<Skipped>,
    /// Revocation lists of authorities that were taken up (S/MIME).
    #[serde(skip_serializing_if = "is_zero")]
    pub revocation_lists: usize,
    pub revision: u64,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[derive(Debug, Clone, Serialize)]
pub struct Imported {
    pub id: KeyId,
    pub change: ImportChange,
    /// Its secret half came along and is here now.
    pub secret: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportChange {
    New,
    Updated,
    Unchanged,
}

#[derive(Debug, Clone, Serialize)]
pub struct Skipped {
    pub reason: &'static str,
}

/// `keys/export`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportRequest {
    pub ids: Vec<KeyId>,
    #[serde(default)]
    pub format: Option<Format>,
    /// With the secret half, under a passphrase that is asked for.
    #[serde(default)]
    pub secret: bool,
    #[serde(default)]
    pub ask: Ask,
}

/// What left.
#[derive(Debug, Clone, Serialize)]
pub struct DataReply {
    pub data: Body,
}

/// `keys/delete`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteRequest {
    pub id: KeyId,
    /// The secret half too. Without it a key that has one is refused.
    #[serde(default)]
    pub secret: bool,
    #[serde(default)]
    pub ask: Ask,
}

/// The store after a change.
#[derive(Debug, Clone, Serialize)]
pub struct RevisionReply {
    pub revision: u64,
}

/// `keys/accept`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptRequest {
    pub id: KeyId,
    pub address: Address,
    pub level: Acceptance,
    #[serde(default)]
    pub ask: Ask,
}

/// `keys/renew`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenewRequest {
    pub id: KeyId,
    /// RFC 3339. For S/MIME the authority decides.
    pub expires: String,
    #[serde(default)]
    pub ask: Ask,
}

/// A renewed key.
#[derive(Debug, Clone, Serialize)]
pub struct RenewReply {
    pub key: Key,
    /// A PKCS#10 request to the authority for the same key, DER (S/MIME).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Body>,
    pub revision: u64,
}

/// `keys/revoke`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeRequest {
    pub id: KeyId,
    #[serde(default)]
    pub reason: Revoking,
    #[serde(default)]
    pub ask: Ask,
}

/// `keys/introduce`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IntroduceRequest {
    pub id: KeyId,
    /// Only for addresses at these; without any, for all.
    #[serde(default)]
    pub domains: Vec<String>,
    #[serde(default)]
    pub ask: Ask,
}

/// `keys/dismiss`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DismissRequest {
    pub id: KeyId,
}

/// Until when a key is unlocked; RFC 3339.
#[derive(Debug, Clone, Serialize)]
pub struct UnlockReply {
    pub until: String,
}

/// `keys/lock`: one key, or all of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LockRequest {
    pub id: Option<KeyId>,
}

/// The state of what was locked.
#[derive(Debug, Clone, Serialize)]
pub struct LockReply {
    pub secret: SecretState,
}

/// `keys/discover`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiscoverRequest {
    pub address: Address,
    /// Only this way; all of them when absent.
    #[serde(default)]
    pub via: Option<Via>,
}

/// A way to other people's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// What their messages brought along: asks nobody.
    Autocrypt,
    /// The key directory of their domain (OpenPGP).
    Wkd,
    /// The servers that policy names (OpenPGP).
    Keyserver,
    /// The directories that policy names (S/MIME).
    Ldap,
}

/// What was found, and where nothing was.
#[derive(Debug, Clone, Serialize)]
pub struct DiscoverReply {
    pub found: Vec<Discovered>,
    pub tried: Vec<Tried>,
    pub revision: u64,
}

/// A certificate that names the address. It is here now, undecided.
#[derive(Debug, Clone, Serialize)]
pub struct Discovered {
    pub id: KeyId,
    pub via: Via,
    pub change: FoundChange,
}

/// What came of one way.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    pub via: Via,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Found,
    Nothing,
    /// Nobody answered, or not with a certificate.
    Failed,
    /// No rule names anybody to ask, or it was found elsewhere.
    Skipped,
}

/// `keys/publish`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishRequest {
    pub id: KeyId,
    pub via: PublishVia,
}

/// Where an own key is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishVia {
    /// The first server that policy names.
    Keyserver,
    /// The key directory of one's own domain.
    Wkd,
}

/// What became of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishReply {
    pub state: PublishState,
    /// For a key directory: what goes where below the root of the web server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PublishedFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishState {
    Sent,
    /// The server has mailed the owner, who has to answer.
    AwaitingConfirmation,
    /// Nothing was sent: the files are yours to put in place.
    ToPlace,
}

#[derive(Debug, Clone, Serialize)]
pub struct PublishedFile {
    pub path: String,
    pub data: Body,
}

impl Bodies for DiscoverRequest {}
impl Bodies for DiscoverReply {}
impl Bodies for PublishRequest {}
impl Bodies for ListRequest {}
impl Bodies for ListReply {}
impl Bodies for OneRequest {}
impl Bodies for KeyReply {}
impl Bodies for GenerateRequest {}
impl Bodies for ImportReply {}
impl Bodies for ExportRequest {}
impl Bodies for DeleteRequest {}
impl Bodies for RevisionReply {}
impl Bodies for AcceptRequest {}
impl Bodies for RenewRequest {}
impl Bodies for RevokeRequest {}
impl Bodies for IntroduceRequest {}
impl Bodies for DismissRequest {}
impl Bodies for UnlockReply {}
impl Bodies for LockRequest {}
impl Bodies for LockReply {}

impl Bodies for ImportRequest {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.data.bodies(visit)
    }
}

impl Bodies for GenerateReply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.request.bodies(visit)
    }
}

impl Bodies for RenewReply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.request.bodies(visit)
    }
}

impl Bodies for PublishReply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        let mut files = self.files.iter_mut();
        files.try_for_each(|file| file.data.bodies(visit))
    }
}

impl Bodies for DataReply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.data.bodies(visit)
    }
}

impl Asks for ListRequest {}
impl Asks for DiscoverRequest {}
impl Asks for PublishRequest {}
impl Asks for LockRequest {}
impl Asks for DismissRequest {}

macro_rules! asks {
    ($($request:ty),*) => {$(
        impl Asks for $request {
            fn ask(&self) -> Ask {
                self.ask
            }
        }
    )*};
}
asks!(
    OneRequest,
    GenerateRequest,
    ImportRequest,
    ExportRequest,
    DeleteRequest,
    AcceptRequest,
    RenewRequest,
    RevokeRequest,
    IntroduceRequest
);
