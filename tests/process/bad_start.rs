//! What the operator reads when something is wrong.

use crate::server::{bedrud, output};

/// The messages with the path of the file replaced.
fn refusal(args: &[&str], file: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bedrud.yaml");
    std::fs::write(&path, file).unwrap();
    let mut command = bedrud(args);
    let (code, stdout, stderr) = output(command.env("BEDRUD_CONFIG", &path).current_dir(dir.path()));
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(!dir.path().join("data").exists(), "nothing may be created");
    stderr.replace(&path.display().to_string(), "bedrud.yaml")
}

#[test]
fn a_bad_file_is_explained_line_by_line() {
    let file = "server:\n  prot: 8090\n  enabletls: true\nauth:\n  tokenDuration: soon\n";
    insta::assert_snapshot!(refusal(&["run"], file), @r"
    Error: bedrud.yaml:2: server.prot: unknown key (did you mean `server.port`?)
    bedrud.yaml:3: server.enabletls: unknown key (keys are case sensitive: write `enableTLS`)
    bedrud.yaml:5: auth.tokenDuration: must be a whole number from 0 to 4294967295
    ");
}

#[test]
fn settings_that_contradict_each_other_are_explained() {
    let file = "server: {behindProxy: true}\nlivekit: {external: true}\n";
    insta::assert_snapshot!(refusal(&["config", "check"], file), @r"
    Error: configuration: server.behindProxy: needs to know the proxy (add its address to server.trustedProxies, e.g. [127.0.0.1])
    configuration: livekit.external: Bedrud carries media itself and cannot use another media server (remove the key)
    ");
}

#[test]
fn json_mode_has_one_object_on_standard_error() {
    let text = refusal(&["--json", "run"], "sever: 1\n");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["ok"], false);
    assert!(value["message"].as_str().unwrap().contains("did you mean `server`?"));
}

#[test]
fn the_example_is_valid_and_shown_values_name_their_source() {
    let dir = tempfile::tempdir().unwrap();
    let (code, example, _) = output(&mut bedrud(&["config", "example"]));
    assert_eq!(code, Some(0));
    let path = dir.path().join("example.yaml");
    std::fs::write(&path, example).unwrap();
    let file = path.to_str().unwrap();
    let (code, stdout, stderr) = output(&mut bedrud(&["config", "check", "--config", file]));
    assert_eq!((code, stdout.as_str()), (Some(0), "The configuration is valid.\n"), "{stderr}");
    let mut show = bedrud(&["config", "show"]);
    let (_, stdout, _) = output(show.env("SERVER_PORT", "9000").env("JWT_SECRET", "x".repeat(40)));
    assert!(stdout.contains("port: 9000  # environment variable SERVER_PORT"), "{stdout}");
    assert!(stdout.contains("jwtSecret: \"***redacted***\"") && !stdout.contains("xxxx"), "{stdout}");
}
