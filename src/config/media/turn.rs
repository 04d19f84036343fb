//! `rtc.turn_servers`.

use crate::config::node::{Node, Value};
use crate::config::setting::Scalar;
use crate::config::value::Secret;

/// A TURN server told to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnServer {
    /// As clients read it, e.g. `turns:turn.example.org:443?transport=tcp`.
    pub url: String,
    /// User name.
    pub username: String,
    /// Password.
    pub credential: Secret,
}

/// A list of TURN servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnServers(pub Vec<TurnServer>);

impl Scalar for TurnServers {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        let items = match &node.value {
            Value::Null => &[][..],
            Value::List(items) => items,
            _ => return Err("must be a list of servers".into()),
        };
        self.0 = items.iter().map(turn_server).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn set_text(&mut self, _: &str) -> Result<(), String> {
        Err("can only be set in the file".into())
    }

    fn show(&self) -> String {
        String::new()
    }
}

fn turn_server(node: &Node) -> Result<TurnServer, String> {
    let Value::Map(entries) = &node.value else { return Err("each server is a section".into()) };
    let (mut host, mut protocol, mut username, mut credential) =
        (String::new(), "udp".to_owned(), String::new(), Secret::default());
    let mut port = 0u16;
    for (key, _, value) in entries {
        match key.as_str() {
            "host" => host.set_node(value),
            "port" => port.set_node(value),
            "protocol" => protocol.set_node(value),
            "username" => username.set_node(value),
            "credential" => credential.set_node(value),
            "secret" | "secret_file" | "ttl" => {
                Err("shared secrets are not supported: give username and credential".to_owned())
            }
            _ => Err("is unknown".to_owned()),
        }
        .map_err(|e| format!("{key}: {e}"))?;
    }
    let (scheme, transport) = match protocol.as_str() {
        "udp" => ("turn", "udp"),
        "tcp" => ("turn", "tcp"),
        "tls" => ("turns", "tcp"),
        _ => return Err("protocol: must be udp, tcp or tls".into()),
    };
    if host.is_empty() || port == 0 {
        return Err("host and port are needed".into());
    }
    Ok(TurnServer { url: format!("{scheme}:{host}:{port}?transport={transport}"), username, credential })
}
