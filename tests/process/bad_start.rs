//! What the operator reads when something is wrong.

use crate::server::{Server, bedrud, free_port, output};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

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
    let (_, stdout, _) =
        output(show.env("SERVER_PORT", "9000").env("JWT_SECRET", "8f4e1c0a7b6d5948372615f4e3d2c1b0"));
    assert!(stdout.contains("port: 9000  # environment variable SERVER_PORT"), "{stdout}");
    assert!(stdout.contains("jwtSecret: \"***redacted***\"") && !stdout.contains("8f4e1c0a"), "{stdout}");
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_with_secrets_that_everybody_can_read_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bedrud.yaml");
    let secret = "8f4e1c0a7b6d5948372615f4e3d2c1b0";
    std::fs::write(&path, format!("server:\n  port: 0\nauth:\n  jwtSecret: {secret}\n")).unwrap();
    let run = |mode| {
        chmod(&path, mode);
        let args = ["config", "check", "--config", path.to_str().unwrap()];
        output(bedrud(&args).current_dir(dir.path()))
    };
    let (code, _, stderr) = run(0o644);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("bedrud.yaml:4: auth.jwtSecret: is a secret, and everybody"), "{stderr}");
    assert!(stderr.contains("chmod o= ") && !stderr.contains(secret), "{stderr}");
    assert_eq!(run(0o640).0, Some(0), "the group may be the service's");
    std::fs::write(&path, "server:\n  port: 0\n").unwrap();
    assert_eq!(run(0o644).0, Some(0), "no secret, no matter");
}

#[test]
fn secrets_of_examples_are_refused_by_name() {
    for (key, name, value) in [
        ("auth", "jwtSecret", "your-super-secret-jwt-key-change-me"),
        ("auth", "sessionSecret", "replace-with-a-long-random-string-0123"),
        ("livekit", "apiKey: APIabc, apiSecret", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ("metrics", "token", "changemechangeme-0123456789"),
    ] {
        let text = refusal(&["config", "check"], &format!("{key}: {{{name}: {value}}}\n"));
        let name = name.rsplit(' ').next().unwrap();
        assert!(text.contains(&format!("{key}.{name}: is the secret of an example")), "{text}");
        assert!(!text.contains(value), "{text}");
    }
    // The pair of the development mode, and those of LiveKit's own examples.
    for pair in ["devkey: secret", "key1: secret1", "APIxyz: your-secret"] {
        let (code, _, stderr) =
            output(&mut bedrud(&["livekit", "--bind", "127.0.0.1", "--port", "0", "--keys", pair]));
        assert_eq!(code, Some(1));
        assert!(stderr.contains("one of an example") && stderr.contains("generate-keys"), "{stderr}");
    }
}

#[test]
fn open_files_of_keys_are_closed_with_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let (file, log) = (dir.path().join("livekit.yaml"), dir.path().join("log"));
    let port = free_port();
    std::fs::write(&file, "keys: {APIabc: 8f4e1c0a7b6d5948372615f4e3d2c1b0}\n").unwrap();
    chmod(&file, 0o644);
    let (text, path) = (port.to_string(), file.to_str().unwrap());
    let mut command =
        bedrud(&["--json", "--config", path, "livekit", "--bind", "127.0.0.1", "--port", &text]);
    let mut server = Server::spawn_logged(&mut command, port, &log);
    server.announced();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    server.end("-KILL");

    let data = dir.path().join("data");
    let (server, _) = Server::run(&data, &[]);
    server.end("-TERM");
    for name in ["secrets.json", "bedrud.db"] {
        chmod(&data.join(name), 0o644);
    }
    let (_server, _) = Server::run(&data, &[]);
    for name in ["secrets.json", "bedrud.db"] {
        let mode = std::fs::metadata(data.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{name}");
    }
}
