//! `bedrud livekit`.

use crate::server::{Server, bedrud, free_port, output};

#[test]
fn the_media_server_alone_answers_as_livekit_does() {
    let port = free_port();
    let port_text = port.to_string();
    let mut command = bedrud(&["--json", "livekit", "--dev", "--bind", "127.0.0.1", "--port", &port_text]);
    let mut server = Server::spawn(&mut command, port);
    server.announced();
    assert_eq!(server.get("/"), (200, "OK".to_owned()));
    assert_eq!(server.get("/rtc").0, 404);
    let (status, head, body) = server.request("GET", "//rtc/validate", &[("origin", "http://x.example")], "");
    assert_eq!((status, body.as_str()), (401, "no permissions to access the room"));
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
    assert_eq!(server.end("-TERM").code(), Some(0));
}

#[test]
fn no_keys_is_refused_with_what_to_do() {
    let (code, _, stderr) = output(&mut bedrud(&["livekit", "--port", "0"]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("--keys") && stderr.contains("LIVEKIT_KEYS"), "{stderr}");
}

#[test]
fn keys_of_the_reference_server_apply_and_unknown_ones_do_not() {
    let mut command = bedrud(&["livekit"]);
    let (code, _, stderr) = output(command.env("LIVEKIT_CONFIG", "rtc:\n  tcp_prot: 7881\n"));
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("--config-body:2: rtc.tcp_prot: unknown key (did you mean `rtc.tcp_port`?)"),
        "{stderr}"
    );
}
