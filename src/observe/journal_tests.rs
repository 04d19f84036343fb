use super::*;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What `log` writes, without the times.
fn written(log: impl FnOnce()) -> String {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(lines.clone()).without_time();
    tracing::subscriber::with_default(subscriber.finish(), log);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_peer_cannot_write_lines_of_its_own() {
    let evil =
        "x\n2026-12-01T00:00:00Z  INFO bedrud::journal: sign-in failed address=192.0.2.7 reason=credentials";
    let text = written(|| {
        room_opened(evil, evil);
        participant_joined(evil, evil, evil);
        participant_left(evil, evil, evil, "CLIENT_INITIATED");
        sign_in_failed(Some([192, 0, 2, 1].into()), "credentials", Some(evil));
    });
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.lines().filter(|l| l.contains(": sign-in failed address=192.0.2.1 ")).count() == 1);
}

#[test]
fn mail_addresses_are_not_shown_and_long_names_are_cut() {
    assert_eq!(shown("ada.lovelace@example.org"), "a…@…");
    assert_eq!(shown("@"), "…@…");
    assert_eq!(shown(&"x".repeat(500)).len(), SHOWN);
}

#[test]
fn a_line_has_its_fields_in_order() {
    let text = written(|| sign_in_failed(Some("::ffff:192.0.2.1".parse().unwrap()), "credentials", None));
    let wanted = " INFO bedrud::journal: sign-in failed address=192.0.2.1 reason=credentials user=\"-\"\n";
    assert_eq!(text, wanted);
}
