//! Our entry in a network configuration list: text in, text out. Whatever else stands there stays as it is, byte for byte.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cni::{PLUGIN, POD_ANNOTATIONS, is_supported};

/// Why a file cannot carry our entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfError {
    /// No JSON, or other JSON than the CNI specification wants.
    #[error("it is no network configuration: {0}")]
    Malformed(String),
    /// Nothing to chain to.
    #[error("it names no main plugin")]
    Empty,
    /// Too old to hand a result on, or unknown to us.
    #[error("its cniVersion is {0:?}: a chained plugin needs 0.3.0 to 1.1.0")]
    Version(String),
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(rename = "cniVersion", default)]
    version: Option<String>,
    #[serde(rename = "cniVersions", default)]
    versions: Vec<String>,
    #[serde(borrow)]
    plugins: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Single {
    #[serde(rename = "cniVersion", default)]
    version: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Plugin {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "installedBy", default)]
    owner: Option<String>,
}

/// An element of `plugins`, and where it stands in the text.
struct Element {
    plugin: Plugin,
    place: Range<usize>,
}

impl Element {
    fn is_ours(&self) -> bool {
        self.plugin.kind == PLUGIN
    }
}

/// Who has put our entry into a list; none: it is not there.
pub(super) fn owner(text: &str) -> Result<Option<String>, ConfError> {
    let elements = elements(text)?;
    Ok(elements.into_iter().find(Element::is_ours).map(|element| element.plugin.owner.unwrap_or_default()))
}

/// The list with our entry as its last plugin, in place of any that is there.
pub(super) fn with_entry(text: &str, owner: &str) -> Result<String, ConfError> {
    let text = without_entry(text)?;
    let elements = elements(&text)?;
    let last = elements.last().ok_or(ConfError::Empty)?;
    let head = text.get(..last.place.start).unwrap_or_default();
    // As whoever wrote the file sets plugins apart.
    let gap = head.get(head.trim_end_matches([' ', '\t', '\r', '\n']).len()..).unwrap_or_default();
    let tail = text.get(last.place.end..).unwrap_or_default();
    let held = text.get(..last.place.end).unwrap_or_default();
    Ok(format!("{held},{gap}{}{tail}", entry(owner)))
}

/// The list as it was before `with_entry`.
pub(super) fn without_entry(text: &str) -> Result<String, ConfError> {
    let mut text = text.to_owned();
    loop {
        let elements = elements(&text)?;
        let Some(index) = elements.iter().position(Element::is_ours) else { return Ok(text) };
        let place = |index: usize| elements.get(index).map(|element| element.place.clone());
        let (Some(own), before, after) = (place(index), index.checked_sub(1).and_then(place), place(index + 1)) else {
            return Ok(text);
        };
        let range = match (before, after) {
            (Some(before), _) => before.end..own.end,
            (None, Some(after)) => own.start..after.start,
            (None, None) => return Err(ConfError::Empty),
        };
        text.replace_range(range, "");
    }
}

/// A list around a configuration of one plugin, with our entry behind it.
pub(super) fn wrapped(text: &str, owner: &str) -> Result<String, ConfError> {
    let single: Single = parse(text)?;
    if !is_supported(&single.version) {
        return Err(ConfError::Version(single.version));
    }
    if single.kind == PLUGIN {
        return Err(ConfError::Empty);
    }
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (version, name) = (quoted(&single.version), quoted(&single.name));
    let (inner, entry) = (text.trim(), entry(owner));
    Ok(format!(
        "{{\n  \"cniVersion\": {version},\n  \"name\": {name},\n  \"plugins\": [\n    {inner},\n    {entry}\n  ]\n}}\n"
    ))
}

fn entry(owner: &str) -> String {
    serde_json::json!({ "type": PLUGIN, "capabilities": { (POD_ANNOTATIONS): true }, "installedBy": owner }).to_string()
}

fn elements(text: &str) -> Result<Vec<Element>, ConfError> {
    let list: List<'_> = parse(text)?;
    let named: Vec<_> = list.version.into_iter().chain(list.versions).collect();
    if !named.iter().any(|version| is_supported(version)) {
        return Err(ConfError::Version(named.into_iter().next().unwrap_or_default()));
    }
    if list.plugins.is_empty() {
        return Err(ConfError::Empty);
    }
    let place = |raw: &RawValue| {
        // Borrowed from the text, so that its address says where it stands.
        let start = (raw.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        Some(start..start + raw.get().len()).filter(|place| place.end <= text.len())
    };
    let element = |raw: &RawValue| {
        let place = place(raw).ok_or_else(|| ConfError::Malformed("a plugin stands outside of its text".to_owned()))?;
        Ok(Element { plugin: parse(raw.get())?, place })
    };
    list.plugins.into_iter().map(element).collect()
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ConfError> {
    serde_json::from_str(text).map_err(|error| ConfError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ConfError, owner, with_entry, without_entry, wrapped};

    const FLAT: &str = r#"{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"bridge"}]}"#;
    const PRETTY: &str = "{\n  \"name\": \"pods\",\n  \"plugins\": [\n    { \"type\": \"bridge\", \"x\": 1.0 },\n    {\n      \"type\": \"portmap\"\n    }\n  ],\n  \"cniVersion\": \"0.3.1\"\n}\n";
    const TABS: &str =
        "{\t\"cniVersion\":\"0.4.0\",\"disableCheck\":true,\"plugins\":\r\n[\r\n\t{\"type\":\"ptp\"}\r\n]}\r\n\r\n";
    const VERSIONS: &str =
        r#"{ "cniVersions": ["0.4.0", "1.1.0"], "name": "\u00fc", "plugins": [ {"type": "a"} , {"type": "b"} ] }"#;

    #[test]
    fn the_entry_comes_last_and_goes_without_a_trace() {
        for text in [FLAT, PRETTY, TABS, VERSIONS] {
            let before: Value = serde_json::from_str(text).unwrap();
            let with = with_entry(text, "pod-1").unwrap();
            let mut after: Value = serde_json::from_str(&with).unwrap();
            let last = after["plugins"].as_array_mut().unwrap().pop().unwrap();
            assert_eq!(after, before, "{with}");
            let capabilities = json!({ "io.kubernetes.cri.pod-annotations": true });
            assert_eq!(last, json!({ "type": "weft-cni", "capabilities": capabilities, "installedBy": "pod-1" }));
            assert_eq!(owner(&with), Ok(Some("pod-1".to_owned())));
            assert_eq!(owner(text), Ok(None));
            assert_eq!(without_entry(&with).as_deref(), Ok(text));
            assert_eq!(without_entry(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_second_time_changes_nothing_and_another_owner_takes_over() {
        for text in [FLAT, PRETTY, TABS, VERSIONS] {
            let first = with_entry(text, "pod-1").unwrap();
            assert_eq!(with_entry(&first, "pod-1").as_deref(), Ok(first.as_str()));
            let second = with_entry(&first, "pod-2").unwrap();
            assert_eq!(owner(&second), Ok(Some("pod-2".to_owned())));
            assert_eq!(without_entry(&second).as_deref(), Ok(text));
        }
    }

    #[test]
    fn entries_that_others_have_moved_or_doubled_are_found() {
        let text = r#"{"cniVersion":"1.0.0","plugins":[{"type":"weft-cni"}, {"type":"bridge"},{"type":"weft-cni"} ]}"#;
        let bare = r#"{"cniVersion":"1.0.0","plugins":[{"type":"bridge"} ]}"#;
        assert_eq!(without_entry(text).as_deref(), Ok(bare));
        assert_eq!(with_entry(text, "x"), with_entry(bare, "x"));
        assert_eq!(owner(text), Ok(Some(String::new())));
    }

    #[test]
    fn the_layout_of_whoever_wrote_the_file_is_kept() {
        let with = with_entry(PRETTY, "p").unwrap();
        assert!(with.contains("\"portmap\"\n    },\n    {\"capabilities\""), "{with}");
    }

    #[test]
    fn a_configuration_of_one_plugin_is_wrapped() {
        let text = "\n{\"cniVersion\": \"0.3.1\", \"name\": \"cb\\\"r\", \"type\": \"flannel\", \"mtu\": 1}\n";
        let list = wrapped(text, "pod-1").unwrap();
        let value: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(value["plugins"][0], serde_json::from_str::<Value>(text).unwrap());
        assert_eq!((&value["name"], &value["cniVersion"]), (&json!("cb\"r"), &json!("0.3.1")));
        assert_eq!(owner(&list), Ok(Some("pod-1".to_owned())));
    }

    #[test]
    fn what_cannot_carry_an_entry_is_refused_and_says_why() {
        let malformed = [
            "",
            "nonsense",
            "[]",
            "{}",
            "null",
            r#"{"cniVersion":"1.0.0","plugins":{}}"#,
            r#"{"cniVersion":"1.0.0","plugins":[1]}"#,
            r#"{"cniVersion":"1.0.0","plugins":[{"no":"type"}]}"#,
            r#"{"cniVersion":"1.0.0","plugins":[{"type":"a"}],"plugins":[]}"#,
            r#"{"cniVersion":"1.0.0","plugins":[{"type":"a"}]} trailing"#,
            r#"{"cniVersion":"1.0.0","plugins":[{"type":"a"}"#,
            r#"{"cniVersion":1,"plugins":[{"type":"a"}]}"#,
        ];
        for text in malformed {
            for result in [with_entry(text, "x"), without_entry(text), wrapped(text, "x")] {
                assert!(matches!(result, Err(ConfError::Malformed(_))), "{text}: {result:?}");
            }
        }
        for (text, wanted) in [
            (r#"{"cniVersion":"1.0.0","plugins":[]}"#, ConfError::Empty),
            (r#"{"cniVersion":"1.0.0","plugins":[{"type":"weft-cni"}]}"#, ConfError::Empty),
            (r#"{"plugins":[{"type":"a"}]}"#, ConfError::Version(String::new())),
            (r#"{"cniVersion":"0.2.0","plugins":[{"type":"a"}]}"#, ConfError::Version("0.2.0".to_owned())),
            (r#"{"cniVersion":"2.0.0","plugins":[{"type":"a"}]}"#, ConfError::Version("2.0.0".to_owned())),
        ] {
            assert_eq!(with_entry(text, "x"), Err(wanted));
        }
        let old = r#"{"name":"a","type":"b"}"#;
        assert_eq!(wrapped(old, "x"), Err(ConfError::Version(String::new())));
    }
}
