//! Subcommands of `bedrud livekit`.

use crate::server::{Server, bedrud, free_port, output};
use bedrud::auth::media_token::{ApiKeys, verify};
use serde_json::Value;

fn json(args: &[&str]) -> Value {
    let args = [&["--json", "livekit"], args].concat();
    let (code, stdout, stderr) = output(&mut bedrud(&args));
    assert_eq!(code, Some(0), "{stderr}");
    serde_json::from_str::<Value>(&stdout).unwrap()["data"].clone()
}

#[test]
fn a_join_token_opens_its_room_and_no_other() {
    let keys = ["--keys", "zeta: 0123456789abcdef0123456789abcdef"];
    let made = json(
        &[&["create-join-token", "--room", "den", "--identity", "ada", "--ttl", "2h"][..], &keys].concat(),
    );
    let token = made["token"].as_str().unwrap();
    let known = ApiKeys::one("zeta", "0123456789abcdef0123456789abcdef");
    let expires = made["expiresAt"].as_i64().unwrap();
    let claims = verify(token, &known, expires - 10).unwrap();
    let grant = claims.video.clone().unwrap();
    assert_eq!((claims.identity(), grant.room.as_str(), grant.room_join), ("ada", "den", true));
    assert!(!grant.room_admin && !grant.hidden && grant.can_publish.is_none());

    let made = json(&["--dev", "create-join-token", "--room", "den", "--identity", "rec", "--recorder"]);
    let claims =
        verify(made["token"].as_str().unwrap(), &ApiKeys::one("devkey", "secret"), expires - 7000).unwrap();
    let grant = claims.video.unwrap();
    assert!(grant.recorder && grant.hidden && grant.can_publish == Some(false));
}

#[test]
fn a_token_that_cannot_be_made_says_why() {
    for (args, why) in [
        (&["create-join-token", "--room", "r", "--identity", "i"][..], "--keys"),
        (&["--dev", "create-join-token", "--room", "", "--identity", "i"], "must not be empty"),
        (&["--dev", "create-join-token", "--room", "r", "--identity", "i", "--ttl", "1w"], "--ttl"),
        (&["--dev", "create-join-token", "--room", "r", "--identity", "i", "--api-key", "x"], "\"x\""),
    ] {
        let (code, _, stderr) = output(&mut bedrud(&[&["livekit"], args].concat()));
        assert!(code == Some(1) && stderr.contains(why), "{stderr}");
    }
}

#[test]
fn generated_keys_differ_and_are_long_enough() {
    let (a, b) = (json(&["generate-keys"]), json(&["generate-keys"]));
    assert!(a["key"].as_str().unwrap().starts_with("API") && a["secret"].as_str().unwrap().len() >= 32);
    assert!(a["key"] != b["key"] && a["secret"] != b["secret"]);
}

#[test]
fn ports_follow_the_configuration() {
    let ports = json(&["ports", "--dev"]);
    assert_eq!((&ports["http"], &ports["udp"], &ports["iceTcp"]), (&7880.into(), &7880.into(), &Value::Null));
    let ports = json(&["ports", "--config-body", "port: 80\nrtc:\n  tcp_port: 7881\n  udp_port: 7882\n"]);
    assert_eq!((&ports["http"], &ports["udp"], &ports["iceTcp"]), (&80.into(), &7882.into(), &7881.into()));
}

#[test]
fn the_running_server_is_listed_and_a_missing_one_is_an_error() {
    let port = free_port().to_string();
    let (code, _, stderr) = output(&mut bedrud(&["livekit", "list-nodes", "--dev", "--port", &port]));
    assert!(code == Some(1) && stderr.contains("is it running?"), "{stderr}");

    let args = ["--json", "livekit", "--dev", "--bind", "127.0.0.1", "--port", &port];
    let mut server = Server::spawn(&mut bedrud(&args), port.parse().unwrap());
    server.announced();
    let nodes = json(&["list-nodes", "--dev", "--bind", "127.0.0.1", "--port", &port]);
    assert_eq!((&nodes[0]["state"], &nodes[0]["rooms"]), (&"serving".into(), &0.into()));
    let wrong = [
        "livekit",
        "list-nodes",
        "--keys",
        "other: 0123456789abcdef0123456789abcdef",
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
    ];
    let (code, _, stderr) = output(&mut bedrud(&wrong));
    assert!(code == Some(1) && stderr.contains("401"), "{stderr}");
}

#[test]
fn every_key_is_explained_with_its_variable() {
    let (code, stdout, _) = output(&mut bedrud(&["livekit", "help-verbose"]));
    assert_eq!(code, Some(0));
    for part in
        ["create-join-token", "enable_remote_unmute", "LIVEKIT_ROOM_ENABLE_REMOTE_UNMUTE", "--config-body"]
    {
        assert!(stdout.contains(part), "{part}\n{stdout}");
    }
}
