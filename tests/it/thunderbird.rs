//! The real Thunderbird, headless: it shows our mail with its subject, and we read what it sends.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Home, Host, Pinentry, export, generate, import, seal_one, shorten};
use crate::marionette::Marionette;
use crate::peer::find;
use crate::servers::free_port;
use crate::smime::Ca;
use crate::trio::{ALICE, BOB};

/// Thunderbird with a profile of its own: one account of Bob's, which never connects.
struct Thunderbird {
    home: TempDir,
    child: Child,
    it: Option<Marionette>,
}

/// What becomes of a message's tab.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Closes,
    Stays,
}

impl Thunderbird {
    /// Starts it with these messages in a local folder.
    fn start(messages: &[Vec<u8>]) -> Option<Thunderbird> {
        let program = find("thunderbird")?;
        let home = tempfile::Builder::new().prefix("tb").tempdir().unwrap();
        let profile = home.path().join("profile");
        let folder = profile.join("Mail/Local Folders");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir_all(profile.join("Mail/pop")).unwrap();
        let mut mbox = Vec::new();
        for message in messages {
            mbox.extend_from_slice(b"From - Mon Nov 23 10:00:00 2026\r\n");
            mbox.extend_from_slice(message);
            mbox.extend_from_slice(b"\r\n");
        }
        std::fs::write(folder.join("Test"), mbox).unwrap();
        let port = free_port();
        std::fs::write(profile.join("user.js"), preferences(port)).unwrap();
        let child = Command::new(program)
            .args([
                "--marionette",
                "--remote-allow-system-access",
                "--no-remote",
                "--headless",
                "--profile",
            ])
            .arg(&profile)
            .env("HOME", home.path())
            .env("MOZ_REMOTE_ALLOW_SYSTEM_ACCESS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut started = Thunderbird {
            home,
            child,
            it: None,
        };
        started.it = Some(Marionette::new(port));
        Some(started)
    }

    #[track_caller]
    fn run(&mut self, body: &str, args: Value) -> Value {
        self.it
            .as_mut()
            .unwrap()
            .run(&format!("{PRELUDE}\n{body}"), args)
    }

    /// What a person sees of each message in the folder.
    fn read(&mut self) -> Vec<Value> {
        let count = self.run(
            "const folder = local('Test').QueryInterface(Ci.nsIMsgLocalMailFolder);
             await new Promise((done, failed) => {
               const listener = {QueryInterface: ChromeUtils.generateQI(['nsIUrlListener']), OnStartRunningUrl() {}, OnStopRunningUrl: done};
               try { if (folder.getDatabaseWithReparse(listener, null)) done(); }
               catch (e) { if (e.result != Cr.NS_ERROR_NOT_INITIALIZED) failed(e); }
             });
             return [...folder.messages].length;",
            json!({}),
        );
        let count = count.as_u64().unwrap();
        (0..count).map(|at| self.show(at, Tab::Closes)).collect()
    }

    fn show(&mut self, at: u64, keep: Tab) -> Value {
        self.run(
            "const folder = local('Test');
             const header = [...folder.messages].sort((a, b) => a.messageKey - b.messageKey)[args.at];
             const tabmail = document.getElementById('tabmail');
             const tab = tabmail.openTab('mailMessageTab', {messageURI: folder.getUriForMsg(header), background: false});
             const ready = () => tab.chromeBrowser.contentWindow?.msgLoaded && tab.chromeBrowser.contentWindow.document.readyState == 'complete';
             await until(ready, 20000);
             const win = tab.chromeBrowser.contentWindow;
             const text = () => win.getMessagePaneBrowser()?.contentDocument?.body?.innerText ?? '';
             const seen = () => {
               const icon = id => { const img = win.document.getElementById(id); return img.hidden ? null : img.src; };
               return {subject: win.document.getElementById('expandedsubjectBox').innerText, from: win.document.getElementById('expandedfromBox').innerText, text: text(),
                 encrypted: icon('encryptedHdrIcon'), signed: icon('signedHdrIcon'),
                 files: win.currentAttachments.map(a => a.name), label: win.document.querySelector('.crypto-label')?.textContent};
             };
             await until(() => /The text\\.|the menu/.test(text()), 4000, true);
             // The verdict comes after the text.
             let last = '';
             for (let i = 0; i < 30; i++) {
               await wait(100);
               const now = JSON.stringify(seen());
               if (now == last && i > 4) break;
               last = now;
             }
             const shown = seen();
             if (!args.keep) tabmail.closeTab(tab);
             return shown;",
            json!({"at": at, "keep": keep == Tab::Stays}),
        )
    }

    /// A picture of a message as it is shown, for the documents: made anew when they are.
    fn picture(&mut self, at: u64, file: &str) {
        if std::env::var_os("SEALPOST_BLESS").is_none() {
            return;
        }
        self.show(at, Tab::Stays);
        let picture = self.it.as_mut().unwrap().picture();
        self.run("const tabmail = document.getElementById('tabmail'); tabmail.closeTab(tabmail.currentTabInfo);", json!({}));
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), picture).unwrap();
    }
}

impl Thunderbird {
    /// Writes a message to Alice, or an answer to the one at `answers`, puts it into the outbox,
    /// and gives it as it would be sent.
    fn write(
        &mut self,
        family: &str,
        sign: bool,
        encrypt: bool,
        answers: Option<usize>,
    ) -> Vec<u8> {
        // As a person does: it quotes what was read last.
        if let Some(at) = answers {
            self.show(at as u64, Tab::Closes);
        }
        let at = self.run(
            "const identity = MailServices.accounts.getIdentity('id1');
             const params = Cc['@mozilla.org/messengercompose/composeparams;1'].createInstance(Ci.nsIMsgComposeParams);
             const fields = Cc['@mozilla.org/messengercompose/composefields;1'].createInstance(Ci.nsIMsgCompFields);
             params.identity = identity;
             params.format = Ci.nsIMsgCompFormat.PlainText;
             params.composeFields = fields;
             if (args.answers === null) {
               fields.to = args.to;
               fields.subject = 'Plugh from Thunderbird';
               fields.body = 'The text: Grüße.\\n';
               const file = Cc['@mozilla.org/messengercompose/attachment;1'].createInstance(Ci.nsIMsgAttachment);
               file.name = 'f.txt';
               file.url = Services.io.newFileURI(new FileUtils.File(args.file)).spec;
               fields.addAttachment(file);
               params.type = Ci.nsIMsgCompType.New;
             } else {
               const folder = local('Test');
               const header = [...folder.messages].sort((a, b) => a.messageKey - b.messageKey)[args.answers];
               params.originalMsgURI = folder.getUriForMsg(header);
               params.origMsgHdr = header;
               params.type = Ci.nsIMsgCompType.ReplyToSender;
             }
             MailServices.compose.OpenComposeWindowWithParams(null, params);
             let win;
             await until(() => (win = Services.wm.getMostRecentWindow('msgcompose'))?.composeEditorReady, 20000);
             await wait(300);
             // What is quoted comes after the window.
             const body = () => win.document.getElementById('messageEditor').contentDocument.body.innerText;
             if (args.answers !== null) await until(() => body().includes('The text.'), 15000, true);
             win.gSelectedTechnologyIsPGP = args.family == 'openpgp';
             win.gUserTouchedEncryptSubject = true;
             win.gEncryptSubject = true;
             if (win.gSendEncrypted != args.encrypt) win.toggleEncryptMessage();
             if (win.gSendSigned != args.sign) win.toggleGlobalSignMessage();
             win.gAttachMyPublicPGPKey = false;
             const count = () => { const out = local('Unsent Messages'); return out ? [...out.messages].length : 0; };
             const before = count();
             win.GenericSendMessage(Ci.nsIMsgCompDeliverMode.Later);
             await until(() => count() > before && !Services.wm.getMostRecentWindow('msgcompose'), 30000, true);
             if (count() == before) {
               const doc = Services.wm.getMostRecentWindow('msgcompose')?.document;
               throw new Error('not sent: ' + doc?.querySelector('notification-message')?.textContent);
             }
             return before;",
            json!({"answers": answers, "to": format!("Alice <{ALICE}>"), "family": family, "sign": sign, "encrypt": encrypt,
                "file": self.home.path().join("f.txt")}),
        );
        let raw = self.run(
            "const out = local('Unsent Messages');
             const header = [...out.messages].sort((a, b) => a.messageKey - b.messageKey)[args.at];
             const stream = out.getMsgInputStream(header, {});
             const input = Cc['@mozilla.org/binaryinputstream;1'].createInstance(Ci.nsIBinaryInputStream);
             input.setInputStream(stream);
             return btoa(input.readBytes(header.messageSize));",
            json!({"at": at}),
        );
        let raw = crate::harness::decode(raw.as_str().unwrap());
        // What is of the mailbox and the outbox alone.
        let text = String::from_utf8(raw)
            .unwrap()
            .replace("\r\n", "\n")
            .replace('\n', "\r\n");
        let mut lines = text.split_inclusive('\n').skip_while(|line| {
            line.starts_with("From - ")
                || line.starts_with("X-Mozilla-")
                || line.starts_with("X-Identity-")
                || line.starts_with("X-Account-")
                || line.starts_with("FCC:")
                || line.starts_with("BCC:")
        });
        lines.by_ref().collect::<String>().into_bytes()
    }
}

impl Drop for Thunderbird {
    fn drop(&mut self) {
        if let Some(mut it) = self.it.take() {
            let quit = std::panic::AssertUnwindSafe(|| {
                it.command("Marionette:Quit", json!({"flags": ["eForceQuit"]}))
            });
            let _ = std::panic::catch_unwind(quit);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PRELUDE: &str = "
    const {MailServices} = ChromeUtils.importESModule('resource:///modules/MailServices.sys.mjs');
    const local = name => {
      const root = MailServices.accounts.localFoldersServer.rootFolder;
      return [...root.subFolders].find(folder => folder.name == name);
    };
    const wait = ms => new Promise(done => setTimeout(done, ms));
    const until = async (what, patience, lenient) => {
      const end = Date.now() + patience;
      while (!(await what())) {
        if (Date.now() > end) { if (lenient) return; throw new Error('not in time: ' + what); }
        await wait(50);
      }
    };
";

/// One account that never connects, and nothing that asks or calls home.
const PREFERENCES: [(&str, &str); 44] = [
    ("mail.server.server1.directory-rel", "\"[ProfD]Mail/pop\""),
    (
        "mail.server.server2.directory-rel",
        "\"[ProfD]Mail/Local Folders\"",
    ),
    ("marionette.port", "@port"),
    ("mail.accountmanager.accounts", "\"account1,account2\""),
    ("mail.accountmanager.defaultaccount", "\"account1\""),
    ("mail.accountmanager.localfoldersserver", "\"server2\""),
    ("mail.account.account1.server", "\"server1\""),
    ("mail.account.account1.identities", "\"id1\""),
    ("mail.account.account2.server", "\"server2\""),
    ("mail.server.server1.type", "\"pop3\""),
    ("mail.server.server1.hostname", "\"127.0.0.1\""),
    ("mail.server.server1.port", "9"),
    ("mail.server.server1.userName", "\"bob\""),
    ("mail.server.server1.name", "@BOB"),
    ("mail.server.server1.login_at_startup", "false"),
    ("mail.server.server1.check_new_mail", "false"),
    ("mail.server.server2.type", "\"none\""),
    ("mail.server.server2.hostname", "\"Local Folders\""),
    ("mail.server.server2.userName", "\"nobody\""),
    ("mail.server.server2.name", "\"Local Folders\""),
    ("mail.identity.id1.fullName", "\"Bob\""),
    ("mail.identity.id1.useremail", "@BOB"),
    ("mail.identity.id1.valid", "true"),
    ("mail.identity.id1.smtpServer", "\"smtp1\""),
    ("mail.identity.id1.compose_html", "false"),
    (
        "mail.identity.id1.fcc_folder",
        "\"mailbox://nobody@Local%20Folders/Sent\"",
    ),
    (
        "mail.identity.id1.draft_folder",
        "\"mailbox://nobody@Local%20Folders/Drafts\"",
    ),
    ("mail.identity.id1.autocryptPrefix", "\"\""),
    ("mail.smtpservers", "\"smtp1\""),
    ("mail.smtp.defaultserver", "\"smtp1\""),
    ("mail.smtpserver.smtp1.hostname", "\"127.0.0.1\""),
    ("mail.smtpserver.smtp1.port", "9"),
    ("mail.spotlight.firstRunDone", "true"),
    ("mail.rights.version", "1"),
    ("mail.shell.checkDefaultClient", "false"),
    ("mailnews.start_page_override.mstone", "\"ignore\""),
    ("mailnews.start_page.enabled", "false"),
    ("app.donation.eoy.version.viewed", "9999"),
    ("app.update.enabled", "false"),
    (
        "datareporting.policy.dataSubmissionPolicyBypassNotification",
        "true",
    ),
    ("mail.inappnotifications.enabled", "false"),
    ("mail.provider.suppress_dialog_on_startup", "true"),
    ("network.proxy.type", "0"),
    ("security.OCSP.enabled", "0"),
];

fn preferences(port: u16) -> String {
    let line = |(name, value): &(&str, &str)| {
        let value = match *value {
            "@port" => port.to_string(),
            "@BOB" => format!("\"{BOB}\""),
            value => value.to_owned(),
        };
        format!("user_pref(\"{name}\", {value});\n")
    };
    PREFERENCES.iter().map(line).collect()
}

/// Alice and Bob with keys of both families; what Thunderbird is to have of Bob's.
struct People {
    _homes: [Home; 2],
    alice: Host,
    alice_key: String,
    bob_key: String,
    bob_p12: Vec<u8>,
    ca: Ca,
}

const PASSPHRASE: &str = "open sesame";

fn people(profile: &str) -> Option<People> {
    let ca = Ca::new()?;
    ca.person("alice", "rsa:2048", ALICE);
    ca.person("bob", "rsa:2048", BOB);
    let pinentry = Pinentry::new(&[PASSPHRASE]);
    let homes = [Home::new(), Home::new().pinentry(&pinentry)];
    let [mut alice, mut bob] = [homes[0].start(), homes[1].start()];
    alice.hello();
    bob.hello();
    let alice_id = generate(&mut alice, "Alice", ALICE, profile);
    let bob_id = generate(&mut bob, "Bob", BOB, profile);
    let alice_key = export(&mut alice, &[&alice_id]);
    import(
        &mut alice,
        export(&mut bob, &[&bob_id]).as_bytes(),
        json!(true),
    );
    for host in [&mut alice, &mut bob] {
        ca.trust(host);
    }
    import(&mut alice, &ca.file("alice"), Value::Null);
    import(&mut alice, &ca.read("bob.pem"), Value::Null);
    let imported = import(&mut bob, &ca.file("bob"), Value::Null);
    let secret = |bob: &mut Host, id: &Value, format: &str| {
        let params = json!({"ids": [id], "secret": true, "format": format});
        let exported = bob.good("keys/export", params);
        bob.bytes(&exported["data"].clone())
    };
    let bob_key = secret(&mut bob, &json!(bob_id), "armored");
    let bob_p12 = secret(&mut bob, &imported["imported"][0]["id"].clone(), "pkcs12");
    Some(People {
        _homes: homes,
        alice,
        alice_key,
        bob_key: String::from_utf8(bob_key).unwrap(),
        bob_p12,
        ca,
    })
}

/// Gives Thunderbird Bob's keys, and those of Alice as a person accepts them.
fn equip(it: &mut Thunderbird, people: &People) {
    let p12 = it.home.path().join("bob.p12");
    std::fs::write(&p12, &people.bob_p12).unwrap();
    let der = |name: &str| {
        let pem = String::from_utf8(people.ca.read(name)).unwrap();
        pem.lines()
            .filter(|line| !line.starts_with("--"))
            .collect::<String>()
    };
    let done = it.run(
        "const {RNP} = ChromeUtils.importESModule('chrome://openpgp/content/modules/RNP.sys.mjs');
         const {EnigmailKeyRing} = ChromeUtils.importESModule('chrome://openpgp/content/modules/keyRing.sys.mjs');
         const {EnigmailCore} = ChromeUtils.importESModule('chrome://openpgp/content/modules/core.sys.mjs');
         const {PgpSqliteDb2} = ChromeUtils.importESModule('chrome://openpgp/content/modules/sqliteDb.sys.mjs');
         await EnigmailCore.init?.();
         const own = await RNP.importSecKeyBlockImpl(window, () => args.passphrase, false, args.own);
         const fpr = EnigmailKeyRing.getKeyById(own.importedKeys[0]).fpr;
         await PgpSqliteDb2.updateAcceptance(fpr, null, 'personal');
         await RNP.importPubkeyBlockAutoAcceptImpl(window, args.alice, 'verified');
         EnigmailKeyRing.clearCache();
         const identity = MailServices.accounts.getIdentity('id1');
         identity.setUnicharAttribute('openpgp_key_id', fpr.slice(-16));
         const db = Cc['@mozilla.org/security/x509certdb;1'].getService(Ci.nsIX509CertDB);
         db.addCertFromBase64(args.root, 'CT,CT,CT');
         db.addCertFromBase64(args.middle, ',,');
         db.addCertFromBase64(args.alices, ',,');
         const file = Cc['@mozilla.org/file/local;1'].createInstance(Ci.nsIFile);
         file.initWithPath(args.p12);
         const code = db.importPKCS12File(file, args.passphrase);
         const mine = db.getCerts().find(c => c.emailAddress == args.bob);
         identity.setUnicharAttribute('signing_cert_name', mine.displayName);
         identity.setCharAttribute('signing_cert_dbkey', mine.dbKey);
         identity.setUnicharAttribute('encryption_cert_name', mine.displayName);
         identity.setCharAttribute('encryption_cert_dbkey', mine.dbKey);
         return [code, own.importedKeys.length];",
        json!({
            "passphrase": PASSPHRASE, "own": people.bob_key, "alice": people.alice_key,
            "p12": p12, "bob": BOB, "root": der("root.pem"), "middle": der("middle.pem"), "alices": der("alice.pem"),
        }),
    );
    assert_eq!(done, json!([0, 1]));
}

#[test]
fn it_shows_what_we_write_and_we_read_what_it_writes() {
    let Some(mut people) = people("compatible") else {
        return;
    };
    let mut messages = Vec::new();
    let mut names = Vec::new();
    for family in ["openpgp", "smime"] {
        for (sign, encrypt) in [(true, false), (false, true), (true, true)] {
            for complex in [false, true] {
                let name = format!("{family} sign {sign} encrypt {encrypt} complex {complex}");
                let mut draft = json!({"from": {"name": "Alice", "address": ALICE}, "to": [BOB],
                    "subject": format!("Plugh {name}"), "text": {"text": "The text.\r\n"}});
                if complex {
                    draft["html"] = json!({"text": "<p>The text.</p>"});
                    draft["attachments"] = json!([{"name": "f.bin", "type": "application/octet-stream", "body": {"base64": "AAEC"}}]);
                }
                let protect = json!({"sign": sign, "encrypt": encrypt, "protocol": family});
                messages.push(seal_one(&mut people.alice, draft, protect));
                names.push(name);
            }
        }
    }
    let letters = names.len();
    // What it can't read is known, so that nobody sends it that.
    let gcm = json!({"sign": true, "encrypt": true, "protocol": "smime", "cipher": "gcm"});
    let draft =
        json!({"from": ALICE, "to": [BOB], "subject": "Plugh", "text": {"text": "The text.\r\n"}});
    messages.push(seal_one(&mut people.alice, draft, gcm));
    let draft = json!({"from": {"name": "Alice", "address": ALICE}, "to": [{"name": "Bob", "address": BOB}],
        "subject": "Dinner on Friday", "text": {"text": "Bob,\n\nthe table is for seven, and the menu is attached.\n\nAlice\n"},
        "attachments": [{"name": "menu.pdf", "type": "application/pdf", "body": {"base64": "JVBERi0xLjQK"}}]});
    let both = json!({"sign": true, "encrypt": true, "protocol": "openpgp"});
    messages.push(seal_one(&mut people.alice, draft, both));
    let Some(mut it) = Thunderbird::start(&messages) else {
        return;
    };
    equip(&mut it, &people);
    let shown = it.read();
    assert_eq!(shown.len(), messages.len());
    assert_eq!(
        (&shown[letters]["text"], &shown[letters]["encrypted"]),
        (&json!(""), &Value::Null)
    );
    for (name, shown) in names.iter().zip(&shown) {
        let has = |word: &str| name.contains(word);
        let icon = |field: &str, word: &str| {
            shown[field]
                .as_str()
                .is_some_and(|icon| icon.contains(word))
        };
        assert_eq!(
            icon("signed", "message-signed-"),
            has("sign true"),
            "{name}: {shown}"
        );
        assert_eq!(
            icon("encrypted", "message-encrypted-ok"),
            has("encrypt true"),
            "{name}: {shown}"
        );
        assert!(
            !icon("signed", "mismatch") && !icon("signed", "unknown") && !icon("signed", "notok"),
            "{name}: {shown}"
        );
        assert_eq!(
            shown["label"],
            if has("openpgp") { "OpenPGP" } else { "S/MIME" },
            "{name}"
        );
        assert!(shown["from"].as_str().unwrap().contains(ALICE), "{name}");
        assert_eq!(
            shown["files"],
            if has("complex true") {
                json!(["f.bin"])
            } else {
                json!([])
            },
            "{name}"
        );
        // In S/MIME it shows what stands outside, and in OpenPGP what its own scheme protects; the
        // text says what neither shows.
        let subject = format!("Plugh {name}");
        let title = if has("smime") && has("encrypt true") {
            "[...]"
        } else {
            &subject
        };
        assert_eq!(shown["subject"], title, "{name}");
        let text = shown["text"].as_str().unwrap();
        assert!(text.contains("The text."), "{name}: {text}");
        assert_eq!(
            text.contains(&format!("Subject: {subject}\n")),
            has("encrypt true"),
            "{name}: {text}"
        );
    }
    std::fs::write(it.home.path().join("f.txt"), "file").unwrap();
    for family in ["openpgp", "smime"] {
        for (sign, encrypt) in [(true, false), (false, true), (true, true)] {
            let message = it.write(family, sign, encrypt, None);
            let name = format!("{family} {sign} {encrypt}");
            let opened = people.alice.open(&message).unwrap();
            let summary = &opened["summary"];
            assert_eq!(
                summary["signed"],
                if sign { "good" } else { "none" },
                "{name}: {}",
                shorten(&opened)
            );
            assert_eq!(
                summary["encrypted"],
                if encrypt { "whole" } else { "none" },
                "{name}"
            );
            let subject = &opened["headers"]["subject"];
            assert_eq!(subject["value"], "Plugh from Thunderbird", "{name}");
            let protection = match (family, sign, encrypt) {
                // It protects fields in OpenPGP alone.
                ("smime", ..) => "none",
                (_, true, true) => "signed-encrypted",
                (_, false, true) => "encrypted",
                _ => "signed",
            };
            assert_eq!(subject["protection"], protection, "{name}: {subject}");
            if family == "openpgp" && encrypt {
                assert_eq!(subject["outer"], "...", "{name}");
            }
            let text = people.alice.bytes(&opened["parts"][0]["body"].clone());
            assert!(
                String::from_utf8(text)
                    .unwrap()
                    .starts_with("The text: Grüße."),
                "{name}"
            );
            assert_eq!(opened["parts"][1]["name"], "f.txt", "{name}");
        }
        // An answer to what we sealed, which quotes it.
        let at = names.iter().position(|name| {
            name.contains(family) && name.contains("sign true encrypt true complex false")
        });
        let message = it.write(family, true, true, at);
        let opened = people.alice.open(&message).unwrap();
        let summary = &opened["summary"];
        assert_eq!(
            (&summary["signed"], &summary["encrypted"]),
            (&json!("good"), &json!("whole"))
        );
        let text = people.alice.bytes(&opened["parts"][0]["body"].clone());
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("> The text."), "{family}: {text}");
        let original = people.alice.open(&messages[at.unwrap()]).unwrap();
        assert_eq!(
            opened["headers"]["inReplyTo"]["value"],
            original["headers"]["messageId"]["value"]
        );
    }
    it.picture(letters as u64 + 1, "thunderbird.png");
}
