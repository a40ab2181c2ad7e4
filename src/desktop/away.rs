//! When the person goes away: the machine is about to sleep, or the screen is locked. Told by
//! the desktop over D-Bus; where there is none, nobody is told.

use std::thread;

use zbus::MatchRule;
use zbus::blocking::{Connection, MessageIterator};
use zbus::message::{Message, Type};
use zbus::zvariant::OwnedFd;

/// The login manager (org.freedesktop.login1).
const LOGIN: &str = "org.freedesktop.login1";

/// Who says that the screen is locked, by the interface of their signal `ActiveChanged`.
const SAVERS: [&str; 4] = [
    "org.freedesktop.ScreenSaver",
    "org.gnome.ScreenSaver",
    "org.cinnamon.ScreenSaver",
    "org.mate.ScreenSaver",
];

/// Calls `gone` whenever the person goes away, from threads of its own, for as long as this
/// process lives.
pub fn watch(gone: impl Fn() + Send + Clone + 'static) {
    let for_login = gone.clone();
    for (name, watching) in [
        (
            "sleep",
            Box::new(move || login(&for_login)) as Box<dyn FnOnce() + Send>,
        ),
        ("screen", Box::new(move || screen(&gone))),
    ] {
        let started = thread::Builder::new().name(name.to_owned()).spawn(watching);
        if started.is_err() {
            log::warn!("desktop: no thread that watches for the {name}");
        }
    }
}

/// Sleep and locked sessions, as the login manager tells them. It waits with sleeping until we
/// have heard of it.
fn login(gone: &dyn Fn()) {
    let watched = Connection::system().and_then(|bus| {
        let signals = signals(
            &bus,
            &[
                ("org.freedesktop.login1.Manager", "PrepareForSleep"),
                ("org.freedesktop.login1.Session", "Lock"),
            ],
        )?;
        let mut delay = delay(&bus);
        for message in signals {
            let message = message?;
            let going = match member(&message).as_str() {
                "PrepareForSleep" => message.body().deserialize::<bool>().unwrap_or(true),
                "Lock" => true,
                _ => continue,
            };
            if going {
                gone();
                // It may sleep now.
                drop(delay.take());
            } else {
                delay = self::delay(&bus);
            }
        }
        Ok(())
    });
    if watched.is_err() {
        log::info!("desktop: nobody tells when the machine sleeps");
    }
}

/// The promise of the login manager to wait for us before the machine sleeps.
fn delay(bus: &Connection) -> Option<OwnedFd> {
    let why = ("sleep", "Sealpost", "keys are locked first", "delay");
    let path = "/org/freedesktop/login1";
    let manager = Some("org.freedesktop.login1.Manager");
    let reply = bus
        .call_method(Some(LOGIN), path, manager, "Inhibit", &why)
        .ok()?;
    reply.body().deserialize().ok()
}

fn screen(gone: &dyn Fn()) {
    let watched = Connection::session().and_then(|bus| {
        let wanted = SAVERS.map(|saver| (saver, "ActiveChanged"));
        for message in signals(&bus, &wanted)? {
            let message = message?;
            if member(&message) == "ActiveChanged"
                && message.body().deserialize::<bool>().unwrap_or(false)
            {
                gone();
            }
        }
        Ok(())
    });
    if watched.is_err() {
        log::info!("desktop: nobody tells when the screen is locked");
    }
}

/// All messages from now on, among them these signals by interface and name.
fn signals(bus: &Connection, wanted: &[(&str, &str)]) -> zbus::Result<MessageIterator> {
    let signals = MessageIterator::from(bus);
    let dbus = zbus::blocking::fdo::DBusProxy::new(bus)?;
    for (interface, name) in wanted {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .interface(*interface)?
            .member(*name)?
            .build();
        dbus.add_match_rule(rule)?;
    }
    Ok(signals)
}

/// The name of a signal; empty for what is none.
fn member(message: &Message) -> String {
    let header = message.header();
    match (header.message_type(), header.member()) {
        (Type::Signal, Some(member)) => member.to_string(),
        _ => String::new(),
    }
}
