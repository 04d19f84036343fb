//! Tables over the whole tree.

use super::*;
use std::collections::HashMap;

type Flags = [(&'static str, String, String)];

fn read_with(text: &str, env: &[(&str, &str)], flags: &Flags) -> Result<Loaded<Config>, String> {
    let env: HashMap<String, String> = env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let lookup = |name: &str| env.get(name).cloned();
    let sources = Sources { file: Some(("bedrud.yaml", text)), env: &lookup, env_prefix: None, flags };
    let loaded = load::read::<Config>(&sources).map_err(|p| p.to_string())?;
    let problems = check::check(&loaded.config);
    if problems.is_empty() { Ok(loaded) } else { Err(Problems(problems).to_string()) }
}

fn read(text: &str) -> Result<Config, String> {
    read_with(text, &[], &[]).map(|l| l.config)
}

#[test]
fn nothing_at_all_is_a_valid_configuration() {
    let config = read("").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.bind_address().to_string(), "[::]:8090");
    assert_eq!(config.database_type(), DatabaseType::Sqlite);
    assert_eq!(config.database_path(), Path::new("data/bedrud.db"));
    assert!(!config.secure_cookies());
}

#[test]
fn flags_beat_environment_beats_file() {
    let text = "server:\n  port: 1\nauth:\n  tokenDuration: 2\nlogger:\n  level: warn\n";
    let env = [("SERVER_PORT", "3"), ("AUTH_TOKEN_DURATION", "4"), ("BEDRUD_DATA", "")];
    let flags = [("--port", "server.port".to_owned(), "5".to_owned())];
    let loaded = read_with(text, &env, &flags).unwrap();
    assert_eq!(loaded.config.port(), 5);
    assert_eq!(loaded.config.auth.token_duration, 4);
    assert_eq!(loaded.config.logger.level, LogLevel::Warn);
    assert_eq!(loaded.origins["server.port"], Source::Flag("--port".into()));
    assert_eq!(loaded.origins["auth.tokenDuration"], Source::Env("AUTH_TOKEN_DURATION".into()));
    assert_eq!(loaded.origins["logger.level"], Source::File { name: "bedrud.yaml".into(), line: 6 });
}

#[test]
fn files_of_older_installers_are_read() {
    let text = r#"
server:
  port: "8090"
  host: 0.0.0.0
  enableTLS: false
  trustedProxies: ["127.0.0.1", "10.0.0.0/8"]
  behindProxy: true
  readTimeout: "15"
database:
  type: sqlite
  path: /var/lib/bedrud/bedrud.db
livekit:
  host: https://meet.example.org/livekit
  internalHost: http://127.0.0.1:7880
  apiKey: APIabc
  apiSecret: 0123456789abcdef0123456789abcdef
  skipTLSVerify: true
auth:
  jwtSecret: "0123456789abcdef0123456789abcdef"
  sessionSecret: "fedcba9876543210fedcba9876543210"
  tokenDuration: "24"
cors:
  allowedOrigins: "https://a.example, https://b.example"
  allowCredentials: true
chat:
  uploads:
    backend: DISK
    maxBytes: "20971520"
"#;
    let loaded = read_with(text, &[], &[]).unwrap();
    let config = &loaded.config;
    assert_eq!(config.bind_address().to_string(), "[::]:8090");
    assert_eq!(config.server.read_timeout, 15);
    assert_eq!(config.allowed_origins().unwrap().len(), 2);
    assert_eq!(config.body_limit(), 20_971_520);
    assert!(config.secure_cookies());
    assert!(loaded.inert.contains(&"livekit.internalHost".to_owned()));
    assert!(!loaded.inert.contains(&"livekit.host".to_owned()));
}

#[test]
fn mistakes_are_named_with_key_line_and_hint() {
    let cases = [
        ("server:\n  prot: 80\n", "bedrud.yaml:2: server.prot: unknown key (did you mean `server.port`?)"),
        (
            "server:\n  enabletls: true\n",
            "bedrud.yaml:2: server.enabletls: unknown key (keys are case sensitive: write `enableTLS`)",
        ),
        (
            "auth:\n  apiSecret: x\n",
            "bedrud.yaml:2: auth.apiSecret: unknown key (did you mean `livekit.apiSecret`?)",
        ),
        ("sever:\n  port: 80\n", "bedrud.yaml:1: sever: unknown key (did you mean `server`?)"),
        ("server:\n  port: eighty\n", "bedrud.yaml:2: server.port: must be a whole number from 0 to 65535"),
        ("server:\n  port: 70000\n", "bedrud.yaml:2: server.port: must be a whole number from 0 to 65535"),
        ("server:\n  enableTLS: maybe\n", "bedrud.yaml:2: server.enableTLS: must be true or false"),
        ("server: 5\n", "bedrud.yaml:1: server: must be a section of keys, not a whole number"),
        (
            "database:\n  password: 12345\n",
            "bedrud.yaml:2: database.password: must be text: put the value in quotes",
        ),
        (
            "logger:\n  level: loud\n",
            "bedrud.yaml:2: logger.level: must be one of trace, debug, info, warn, error, disabled",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let env = [("SERVER_PORT", "x"), ("WEBXDC_ENABLED", "perhaps")];
    let error = read_with("a: 1\nserver:\n  host: []\n", &env, &[]).unwrap_err();
    assert_eq!(error.lines().count(), 4, "{error}");
    assert!(error.contains("environment variable SERVER_PORT: server.port: must be"), "{error}");
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let cases = [
        ("server: {behindProxy: true}", "server.behindProxy"),
        ("server: {trustedProxies: [proxy]}", "server.trustedProxies"),
        ("server: {host: meet.example.org}", "server.host"),
        ("server: {enableTLS: true, certFile: a.pem}", "server.keyFile"),
        ("server: {enableTLS: true, useACME: true}", "server.useACME"),
        ("cors: {allowCredentials: true}", "cors.allowCredentials"),
        ("auth: {jwtSecret: short}", "auth.jwtSecret"),
        ("auth: {tokenDuration: 0}", "auth.tokenDuration"),
        ("livekit: {apiKey: a}", "livekit.apiKey"),
        ("livekit: {external: true}", "livekit.external"),
        ("livekit: {nodeIP: here}", "livekit.nodeIP"),
        ("database: {type: postgres}", "database.host"),
        ("database: {host: db, user: u, dbname: d, sslmode: sometimes}", "database.sslmode"),
    ];
    for (text, key) in cases {
        let error = read(text).unwrap_err();
        assert!(error.contains(&format!("configuration: {key}: ")), "{text}: {error}");
        assert!(error.ends_with(')'), "no hint: {error}");
    }
}

#[test]
fn messages_never_repeat_a_secret() {
    let error = read("auth:\n  jwtSecret: hunter2hunter2\ndatabase:\n  password: [hunter2]\n").unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
    let mut loaded = read_with("email:\n  password: hunter2\n", &[], &[]).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
    let shown = example::show(&mut loaded.config, &loaded.origins);
    assert!(!shown.contains("hunter2"));
    assert!(shown.contains("password: \"***redacted***\"  # bedrud.yaml:2"), "{shown}");
}

#[test]
fn example_file_is_current_and_every_line_of_it_is_valid() {
    let text = example::example();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.example.yaml");
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let on_disk = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        on_disk == text,
        "docs/config.example.yaml is stale: run `UPDATE_EXAMPLES=1 cargo test -p bedrud example_file`"
    );
    // `#key: value` is a key, `# text` is a comment.
    let uncommented: String = text
        .lines()
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => line.replacen('#', "", 1),
            _ => line.to_owned(),
        })
        .map(|line| line + "\n")
        .collect();
    assert_eq!(read(&uncommented).unwrap(), Config::default());
}

#[test]
fn keys_and_environment_names_are_unique() {
    fn names(section: &mut dyn setting::Section, out: &mut Vec<&'static str>) {
        for (meta, slot) in section.fields() {
            out.extend(meta.env);
            assert!(!meta.docs.is_empty(), "{} has no description", meta.key);
            if let setting::Slot::Section(inner) = slot {
                names(inner, out);
            }
        }
    }
    let mut all = load::paths(&mut Config::default());
    let mut env = Vec::new();
    names(&mut Config::default(), &mut env);
    for list in [&mut all, &mut env.iter().map(ToString::to_string).collect()] {
        let count = list.len();
        list.sort();
        list.dedup();
        assert_eq!(list.len(), count);
    }
}

#[test]
fn the_file_is_found_in_the_documented_order() {
    let env = |name: &str| match name {
        "BEDRUD_CONFIG" => Some("b.yaml".to_owned()),
        "CONFIG_PATH" => Some("c.yaml".to_owned()),
        _ => None,
    };
    assert_eq!(path(Some(Path::new("a.yaml")), &env), Some("a.yaml".into()));
    assert_eq!(path(None, &env), Some("b.yaml".into()));
    assert_eq!(path(None, &|n| (n == "CONFIG_PATH").then(|| "c.yaml".to_owned())), Some("c.yaml".into()));
    assert_eq!(path(None, &|_| None), None);
    let error = format!("{:#}", load(Some(Path::new("/nonexistent/x.yaml")), &|_| None, &[]).unwrap_err());
    assert!(error.contains("/nonexistent/x.yaml") && error.contains("--config"), "{error}");
}
