//! `sealpost install` and `uninstall`: the manifests by which browsers find this program, and the
//! link under whose name it speaks GnuPG's dialect.
//!
//! All is planned before anything is written, so that one thing that can't be leaves everything
//! as it was. Another program's host is never put aside unasked, wherever it stands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::args::{Install, Places, Uninstall};
use super::print;
use crate::base::{Error, Result};
use crate::store::Home;
use crate::store::browsers::{self, Browser, Reach, Reads};

/// The host's own name.
const HOST: &str = "org.sealpost.host";

/// The name under which clients of GnuPG's host look for theirs.
const GPGME_HOST: &str = "gpgmejson";

/// The name under which this program speaks GnuPG's dialect, and nothing else.
const GPGME_LINK: &str = "sealpost-gpgmejson";

/// Mailvelope, as the stores of Chrome, Edge and Mozilla have it.
const MAILVELOPE: [&str; 3] = [
    "chrome-extension://kajibbejlbohfaggdiogboambcijhkke/",
    "chrome-extension://dgcbddhdhjppfdfjpciagmmibadmoapc/",
    "jid1-AQqSMBYb0a8ADg@jetpack",
];

/// A manifest as browsers read it.
#[derive(Serialize)]
struct Manifest<'a> {
    name: &'a str,
    description: &'a str,
    path: &'a Path,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_origins: Option<&'a BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_extensions: Option<&'a BTreeSet<String>>,
}

/// What matters of a manifest that is there.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Found {
    path: PathBuf,
    allowed_origins: BTreeSet<String>,
    allowed_extensions: BTreeSet<String>,
}

impl Found {
    fn allowed(self, reads: Reads) -> BTreeSet<String> {
        match reads {
            Reads::Chromium => self.allowed_origins,
            Reads::Mozilla => self.allowed_extensions,
        }
    }
}

/// One host under one name, for any browser.
struct Host<'a> {
    name: &'static str,
    description: &'static str,
    /// What its manifests name.
    path: PathBuf,
    allow: &'a [Extension],
}

/// An extension as a manifest names it.
#[derive(Clone)]
struct Extension {
    reads: Reads,
    name: String,
}

impl Extension {
    fn parse(text: &str) -> Result<Extension> {
        let chromium = text.strip_prefix("chrome-extension://");
        if let Some(id) = chromium.map(|rest| rest.strip_suffix('/').unwrap_or(rest)) {
            let known = id.len() == 32 && id.bytes().all(|b| matches!(b, b'a'..=b'p'));
            return known
                .then(|| Extension {
                    reads: Reads::Chromium,
                    name: format!("chrome-extension://{id}/"),
                })
                .ok_or_else(|| {
                    Error::invalid(
                        "/allow",
                        "an extension of Chromium has 32 letters from a to p: chrome-extension://ID/",
                    )
                });
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._@{}".contains(c);
        let known = text.contains('@') || (text.starts_with('{') && text.ends_with('}'));
        (known && text.len() <= 80 && text.chars().all(plain))
            .then(|| Extension {
                reads: Reads::Mozilla,
                name: text.to_owned(),
            })
            .ok_or_else(|| {
                Error::invalid(
                    "/allow",
                    "give chrome-extension://ID/, or the id of an add-on: NAME@DOMAIN or {UUID}",
                )
            })
    }
}

/// What is to be done with one manifest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    browsers: Vec<String>,
    manifest: PathBuf,
    what: What,
    #[serde(skip)]
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Written,
    /// It says that already.
    Unchanged,
    /// Another program's was put aside for it.
    Replaced,
    Removed,
    /// Another program's is back.
    Restored,
}

impl What {
    fn words(self, dry: bool) -> &'static str {
        match (self, dry) {
            (What::Written, false) => "written",
            (What::Written, true) => "to be written",
            (What::Unchanged, _) => "as it should be",
            (What::Replaced, false) => "written; the other program's was put aside",
            (What::Replaced, true) => "to be written; the other program's would be put aside",
            (What::Removed, _) => "removed",
            (What::Restored, _) => "removed; the other program's is back",
        }
    }
}

#[derive(Serialize)]
struct Reply {
    steps: Vec<Step>,
}

/// `sealpost install`.
///
/// # Errors
/// `request.invalid` for a browser or extension that is none, and where another program's host
/// would have to give way; `store.unavailable`.
pub fn install(args: &Install) -> Result<()> {
    let reach = reach(&args.places);
    let program = program()?;
    let home = Home::from_env()?;
    let own = extensions(&args.allow)?;
    let theirs = extensions(&MAILVELOPE)?;
    let link = browsers::link_path(&home, &program, GPGME_LINK, reach)?;
    let mut hosts = Vec::new();
    if !own.is_empty() {
        hosts.push(Host {
            name: HOST,
            description: "Sealpost: end-to-end encrypted mail",
            path: program.clone(),
            allow: &own,
        });
    }
    if args.as_gpgme_json {
        hosts.push(Host {
            name: GPGME_HOST,
            description: "Sealpost, as GnuPG's host for Mailvelope",
            path: link.clone(),
            allow: &theirs,
        });
    }
    let browsers = chosen(&args.places)?;
    let mut steps = Vec::new();
    for host in &hosts {
        for browser in &browsers {
            plan(host, browser, reach, args.replace, &mut steps)?;
        }
    }
    if steps.is_empty() {
        return Err(Error::invalid(
            "/browser",
            "none of these browsers is one that such an extension is for; name it with --browser",
        ));
    }
    if args.print {
        for step in &steps {
            print::line(&format!("{}\n{}", step.manifest.display(), step.text))?;
        }
        return Ok(());
    }
    if !args.dry_run {
        if args.as_gpgme_json {
            browsers::link(&link, &program)?;
        }
        for step in steps.iter().filter(|step| step.what != What::Unchanged) {
            if step.what == What::Replaced {
                browsers::keep_manifest(&step.manifest)?;
            }
            browsers::put_manifest(&step.manifest, step.text.as_bytes())?;
        }
    }
    told(steps, args.dry_run, args.common.json)
}

/// `sealpost uninstall`. What other programs have stays, and what gave way comes back.
///
/// # Errors
/// `request.invalid` for a browser that is none; `store.unavailable`.
pub fn uninstall(args: &Uninstall) -> Result<()> {
    let reach = reach(&args.places);
    let program = program()?;
    let mut steps: Vec<Step> = Vec::new();
    let all = args.places.browser.is_empty();
    let known = match all {
        true => browsers::browsers()?,
        false => chosen(&args.places)?,
    };
    for browser in &known {
        let Some(folder) = browser.folder(reach) else {
            continue;
        };
        for host in [HOST, GPGME_HOST] {
            let manifest = browsers::manifest_path(folder, host);
            let Some(bytes) = browsers::manifest(&manifest)? else {
                continue;
            };
            if !is_ours(host, &said(&bytes)) {
                continue;
            }
            let what = match browsers::remove_manifest(&manifest)? {
                true => What::Restored,
                false => What::Removed,
            };
            steps.push(Step {
                browsers: vec![browser.name.clone()],
                manifest,
                what,
                text: String::new(),
            });
        }
    }
    if all {
        let link = browsers::link_path(&Home::from_env()?, &program, GPGME_LINK, reach)?;
        if browsers::leads_to(&link, &program) {
            browsers::unlink(&link)?;
        }
    }
    told(steps, false, args.common.json)
}

fn reach(places: &Places) -> Reach {
    match places.system {
        true => Reach::Everybody,
        false => Reach::Person,
    }
}

fn extensions<T: AsRef<str>>(names: &[T]) -> Result<Vec<Extension>> {
    let parsed = names.iter().map(|name| Extension::parse(name.as_ref()));
    parsed.collect()
}

/// This program, wherever it was called from.
fn program() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|e| Error::internal("this program does not know where it is").because(e))
}

/// The browsers that were named, or else those that the person uses; for everybody all that are
/// known.
fn chosen(places: &Places) -> Result<Vec<Browser>> {
    let mut known = browsers::browsers()?;
    if known.is_empty() {
        return Err(Error::invalid(
            "/browser",
            "on this system manifests are named in the registry, which is not done here yet; --print shows nothing, see manifests/browsers.toml",
        ));
    }
    let wanted = &places.browser;
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !known.iter().any(|browser| browser.name == **name))
    {
        let names: Vec<_> = known.iter().map(|browser| browser.name.as_str()).collect();
        return Err(Error::invalid(
            "/browser",
            format!("{unknown:?} is none of {}", names.join(", ")),
        ));
    }
    known.retain(|browser| match wanted.is_empty() {
        true => places.system || browser.used,
        false => wanted.contains(&browser.name),
    });
    if known.is_empty() {
        return Err(Error::invalid(
            "/browser",
            "no browser was found that you have used; name one with --browser",
        ));
    }
    Ok(known)
}

/// Adds what is to be done for one host in one browser.
fn plan(
    host: &Host<'_>,
    browser: &Browser,
    reach: Reach,
    replace: bool,
    steps: &mut Vec<Step>,
) -> Result<()> {
    let fitting = host.allow.iter().filter(|one| one.reads == browser.reads);
    let mut allow: BTreeSet<String> = fitting.map(|one| one.name.clone()).collect();
    let Some(folder) = browser.folder(reach).filter(|_| !allow.is_empty()) else {
        return Ok(());
    };
    let manifest = browsers::manifest_path(folder, host.name);
    // Some browsers look in the same place.
    if let Some(step) = steps.iter_mut().find(|step| step.manifest == manifest) {
        step.browsers.push(browser.name.clone());
        return Ok(());
    }
    let mut what = What::Written;
    let mut before = None;
    for other in [Reach::Person, Reach::Everybody] {
        let Some(folder) = browser.folder(other) else {
            continue;
        };
        let place = browsers::manifest_path(folder, host.name);
        let Some(bytes) = browsers::manifest(&place)? else {
            continue;
        };
        let found = said(&bytes);
        if other == reach {
            before = Some(bytes);
        }
        match is_ours(host.name, &found) {
            // What may talk to it already stays.
            true if other == reach => allow.append(&mut found.allowed(browser.reads)),
            true => {}
            false if replace => {
                if other == reach {
                    what = What::Replaced;
                }
            }
            false => return Err(in_the_way(host.name, &place)),
        }
    }
    let text = written(host, browser.reads, &allow)?;
    if before.is_some_and(|before| before == text.as_bytes()) {
        what = What::Unchanged;
    }
    steps.push(Step {
        browsers: vec![browser.name.clone()],
        manifest,
        what,
        text,
    });
    Ok(())
}

fn in_the_way(host: &str, place: &Path) -> Error {
    Error::invalid(
        "/asGpgmeJson",
        format!(
            "another program answers as {host} already: {}; nothing was changed. --replace puts it aside, and uninstall puts it back",
            place.display()
        ),
    )
}

fn written(host: &Host<'_>, reads: Reads, allow: &BTreeSet<String>) -> Result<String> {
    let manifest = Manifest {
        name: host.name,
        description: host.description,
        path: &host.path,
        r#type: "stdio",
        allowed_origins: (reads == Reads::Chromium).then_some(allow),
        allowed_extensions: (reads == Reads::Mozilla).then_some(allow),
    };
    let text = serde_json::to_string_pretty(&manifest).map_err(|e| {
        Error::invalid(
            "",
            "a manifest can't name the program's place; move it to one in UTF-8",
        )
        .because(e)
    })?;
    Ok(text + "\n")
}

/// What a manifest says; one that is none says nothing.
fn said(manifest: &[u8]) -> Found {
    serde_json::from_slice(manifest).unwrap_or_default()
}

/// Whether a manifest is one that this program wrote, here or where it was before.
fn is_ours(host: &str, found: &Found) -> bool {
    let stem = found.path.file_stem();
    host == HOST || stem.is_some_and(|stem| stem == GPGME_LINK)
}

fn told(steps: Vec<Step>, dry: bool, json: bool) -> Result<()> {
    if json {
        return print::json(&Reply { steps });
    }
    if steps.is_empty() {
        return print::line("nothing of this program's was found");
    }
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            vec![
                step.browsers.join(", "),
                step.manifest.display().to_string(),
                step.what.words(dry).to_owned(),
            ]
        })
        .collect();
    print::out(&print::table(&rows))
}

#[cfg(test)]
mod tests {
    use super::Extension;

    #[test]
    fn extensions_are_what_browsers_call_them() {
        for good in [
            "chrome-extension://kajibbejlbohfaggdiogboambcijhkke/",
            "chrome-extension://kajibbejlbohfaggdiogboambcijhkke",
            "jid1-AQqSMBYb0a8ADg@jetpack",
            "{446900e4-71c2-419f-a6a7-df9c091e268b}",
        ] {
            assert!(Extension::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "*",
            "chrome-extension://*/",
            "chrome-extension://kajibbejlbohfaggdiogboambcijhkkz/",
            "chrome-extension://kajibbejlbohfaggdiogboambcijhkke/x",
            "https://mail.example/",
            "a b@c",
            "a\"@c",
        ] {
            assert!(Extension::parse(bad).is_err(), "{bad}");
        }
    }
}
