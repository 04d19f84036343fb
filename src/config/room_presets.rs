//! `room.room_configurations`: named settings that CreateRoom calls (`room_preset`) and join tokens (`roomPreset`)
//! refer to.

use super::node::{Node, Value};
use super::setting::Scalar;
use bedrud_media::protocol::{RoomAgentDispatch, RoomConfiguration};
use std::collections::{BTreeMap, HashMap};

/// Room settings by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoomConfigurations(pub BTreeMap<String, RoomConfiguration>);

impl Scalar for RoomConfigurations {
    fn set_node(&mut self, node: &Node) -> Result<(), String> {
        self.0.clear();
        for (name, value) in map(node)? {
            let mut preset = preset(value).map_err(|e| format!("{name}: {e}"))?;
            preset.name.clone_from(name);
            self.0.insert(name.clone(), preset);
        }
        Ok(())
    }

    fn set_text(&mut self, _: &str) -> Result<(), String> {
        Err("can only be set in the file".into())
    }

    fn show(&self) -> String {
        String::new()
    }
}

fn map(node: &Node) -> Result<impl Iterator<Item = (&String, &Node)>, String> {
    let entries = match &node.value {
        Value::Null => &[][..],
        Value::Map(entries) => entries,
        _ => return Err("must be a section".into()),
    };
    Ok(entries.iter().map(|(key, _, value)| (key, value)))
}

fn preset(node: &Node) -> Result<RoomConfiguration, String> {
    let mut out = RoomConfiguration::default();
    for (key, value) in map(node)? {
        match key.as_str() {
            "name" => out.name.set_node(value),
            "empty_timeout" => out.empty_timeout.set_node(value),
            "departure_timeout" => out.departure_timeout.set_node(value),
            "max_participants" => out.max_participants.set_node(value),
            "metadata" => out.metadata.set_node(value),
            "min_playout_delay" => out.min_playout_delay.set_node(value),
            "max_playout_delay" => out.max_playout_delay.set_node(value),
            "sync_streams" => out.sync_streams.set_node(value),
            "agents" => agents(value).map(|list| out.agents = list),
            "tags" => texts(value).map(|tags| out.tags = tags),
            "egress" => Err("recording is not part of this server".into()),
            _ => Err("is unknown".into()),
        }
        .map_err(|e| format!("{key}: {e}"))?;
    }
    Ok(out)
}

fn agents(node: &Node) -> Result<Vec<RoomAgentDispatch>, String> {
    let items = match &node.value {
        Value::Null => &[][..],
        Value::List(items) => items,
        _ => return Err("must be a list".into()),
    };
    items.iter().map(agent).collect()
}

fn agent(node: &Node) -> Result<RoomAgentDispatch, String> {
    let mut out = RoomAgentDispatch::default();
    for (key, value) in map(node)? {
        match key.as_str() {
            "agent_name" => out.agent_name.set_node(value),
            "metadata" => out.metadata.set_node(value),
            "deployment" => out.deployment.set_node(value),
            "attributes" => texts(value).map(|map| out.attributes = map),
            _ => Err("is unknown".into()),
        }
        .map_err(|e| format!("{key}: {e}"))?;
    }
    Ok(out)
}

fn texts(node: &Node) -> Result<HashMap<String, String>, String> {
    let mut out = BTreeMap::<String, String>::new();
    out.set_node(node)?;
    Ok(out.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use crate::config::media;

    fn parse(text: &str) -> Result<media::MediaConfig, String> {
        let loaded = media::read(Some(("livekit.yaml", text)), &|_| None, None, &[]);
        loaded.map(|l| l.config).map_err(|e| e.to_string())
    }

    #[test]
    fn presets_name_timeouts_agents_and_tags() {
        let text = r#"
room:
  sync_streams: true
  room_configurations:
    lecture:
      empty_timeout: 60
      max_participants: 500
      agents:
        - agent_name: scribe
          metadata: "{}"
          attributes: { lang: en }
      tags: { kind: lecture }
    plain:
"#;
        let room = parse(text).unwrap().room;
        assert!(room.sync_streams);
        let presets = room.room_configurations.0;
        assert_eq!(presets.len(), 2);
        let lecture = &presets["lecture"];
        assert_eq!(
            (lecture.name.as_str(), lecture.empty_timeout, lecture.max_participants),
            ("lecture", 60, 500)
        );
        assert_eq!(lecture.agents[0].agent_name, "scribe");
        assert_eq!(lecture.agents[0].attributes["lang"], "en");
        assert_eq!(lecture.tags["kind"], "lecture");
    }

    #[test]
    fn mistakes_name_the_preset_and_the_key() {
        for (text, wanted) in [
            ("a:\n      empty: 1\n", "a: empty: is unknown"),
            ("a:\n      agents: x\n", "a: agents: must be a list"),
            ("a:\n      egress: {}\n", "a: egress: recording is not part of this server"),
            ("a: 5\n", "a: must be a section"),
        ] {
            let error = parse(&format!("room:\n  room_configurations:\n    {text}")).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
