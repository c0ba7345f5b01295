//! A program's request with our tools in it, and with what was said in the rounds after it.
//!
//! Its members stay in their order and as they stand; only the tools, the choice among them and the conversation are touched.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::{Done, Offer, Tool};
use crate::bridge::dialect::Dialect;

/// A request that can grow.
pub(in crate::bridge) struct Draft {
    dialect: Dialect,
    members: Members,
    /// Names of the program's own tools.
    own: Vec<String>,
}

/// An object's members as they stand, in their order.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

impl Members {
    fn get(&self, name: &str) -> Option<&str> {
        let member = self.0.iter().find(|(known, _)| known == name);
        member.map(|(_, value)| value.get()).filter(|value| *value != "null")
    }

    fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.get(name)?).ok()
    }

    fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Puts items behind those of a list; makes one where there is none.
    fn extend(&mut self, name: &str, items: &[Value]) {
        let inner = self
            .get(name)
            .and_then(|list| list.strip_prefix('[')?.strip_suffix(']'));
        let inner = inner.unwrap_or_default().trim();
        let mut all: Vec<String> = items.iter().map(Value::to_string).collect();
        if !inner.is_empty() {
            all.insert(0, inner.to_owned());
        }
        if let Ok(list) = RawValue::from_string(format!("[{}]", all.join(","))) {
            self.set(name, list);
        }
    }

    fn set_value(&mut self, name: &str, value: &Value) {
        if let Ok(value) = to_raw_value(value) {
            self.set(name, value);
        }
    }
}

impl Draft {
    /// A request that may be given tools; `None` if it may not: it wants none called, has functions of the old kind, goes on a conversation
    /// that the vendor keeps (where each round would stand twice), or is not what it should be, which its vendor may say.
    pub(in crate::bridge) fn of(dialect: Dialect, body: &[u8]) -> Option<Self> {
        let members: Members = serde_json::from_slice(body).ok()?;
        if ["functions", "function_call", "conversation"]
            .iter()
            .any(|name| members.get(name).is_some())
        {
            return None;
        }
        let choice = members.value("tool_choice").unwrap_or_default();
        let is_none = choice == "none" || choice["type"] == "none";
        let tools = match members.get("tools") {
            None => Vec::new(),
            Some(_) => members.value("tools").and_then(list)?,
        };
        let is_conversation = match members.get(conversation(dialect)) {
            Some(text) => text.starts_with('[') || (dialect == Dialect::Responses && text.starts_with('"')),
            None => false,
        };
        let own = tools.iter().filter_map(|tool| name(dialect, tool)).collect();
        (is_conversation && !is_none).then_some(Self { dialect, members, own })
    }

    /// The names of the program's own tools.
    pub(in crate::bridge) fn own_tools(&self) -> &[String] {
        &self.own
    }

    /// Puts tools behind the program's own, to be called one at a time.
    pub(in crate::bridge) fn add_tools(&mut self, offer: &Offer) {
        let tools: Vec<Value> = offer.tools.iter().map(|tool| definition(self.dialect, tool)).collect();
        self.members.extend("tools", &tools);
        match self.dialect {
            Dialect::ChatCompletions | Dialect::Responses => {
                self.members.set_value("parallel_tool_calls", &Value::Bool(false));
            }
            Dialect::Messages => {
                let choice = self.members.value("tool_choice").filter(Value::is_object);
                let mut choice = choice.unwrap_or_else(|| json!({ "type": "auto" }));
                choice["disable_parallel_tool_use"] = Value::Bool(true);
                self.members.set_value("tool_choice", &choice);
            }
        }
    }

    /// Puts a round behind the conversation: what the model said, and what came of its calls.
    pub(in crate::bridge) fn add_round(&mut self, mut said: Vec<Value>, done: &[Done]) {
        let name = conversation(self.dialect);
        if self.dialect == Dialect::Responses {
            if let Some(text) = self.members.value(name).filter(Value::is_string) {
                let message = json!([{ "type": "message", "role": "user", "content": text }]);
                self.members.set_value(name, &message);
            }
            if self.members.get("store") == Some("false") {
                // What the vendor does not keep can be shown to it again only sealed.
                said.retain(|item| item["type"] != "reasoning" || item["encrypted_content"].is_string());
            }
        }
        said.extend(results(self.dialect, done));
        self.members.extend(name, &said);
    }

    /// The model is to call no more tools.
    pub(in crate::bridge) fn forbid_tools(&mut self) {
        let choice = match self.dialect {
            Dialect::ChatCompletions | Dialect::Responses => json!("none"),
            Dialect::Messages => json!({ "type": "none" }),
        };
        self.members.set_value("tool_choice", &choice);
    }

    /// The body.
    pub(in crate::bridge) fn bytes(&self) -> Bytes {
        let room: usize = self
            .members
            .0
            .iter()
            .map(|(name, value)| name.len() + value.get().len() + 8)
            .sum();
        let mut body = String::with_capacity(room + 2);
        for (name, value) in &self.members.0 {
            body.push(if body.is_empty() { '{' } else { ',' });
            body.push_str(&Value::from(name.as_str()).to_string());
            body.push(':');
            body.push_str(value.get());
        }
        body.push('}');
        Bytes::from(body)
    }
}

fn list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// The member with the conversation.
fn conversation(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::ChatCompletions | Dialect::Messages => "messages",
        Dialect::Responses => "input",
    }
}

fn name(dialect: Dialect, tool: &Value) -> Option<String> {
    let name = match dialect {
        Dialect::ChatCompletions => tool.pointer("/function/name").or_else(|| tool.pointer("/custom/name")),
        Dialect::Responses | Dialect::Messages => tool.get("name"),
    };
    name?.as_str().map(str::to_owned)
}

fn definition(dialect: Dialect, tool: &Tool) -> Value {
    let (name, description, schema) = (&tool.name, &tool.description, &tool.schema);
    match dialect {
        Dialect::ChatCompletions => json!({
            "type": "function",
            "function": { "name": name, "description": description, "parameters": schema },
        }),
        // Otherwise every property would be required.
        Dialect::Responses => json!({
            "type": "function", "name": name, "description": description, "parameters": schema, "strict": false,
        }),
        Dialect::Messages => json!({ "name": name, "description": description, "input_schema": schema }),
    }
}

fn results(dialect: Dialect, done: &[Done]) -> Vec<Value> {
    let each = done.iter().map(|(call, outcome)| match dialect {
        Dialect::ChatCompletions => json!({ "role": "tool", "tool_call_id": call.id, "content": outcome.text }),
        Dialect::Responses => {
            json!({ "type": "function_call_output", "call_id": call.id, "output": outcome.text })
        }
        Dialect::Messages => json!({
            "type": "tool_result", "tool_use_id": call.id, "content": outcome.text, "is_error": outcome.is_error,
        }),
    });
    match dialect {
        Dialect::ChatCompletions | Dialect::Responses => each.collect(),
        Dialect::Messages => vec![json!({ "role": "user", "content": each.collect::<Vec<_>>() })],
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Call, Outcome, testing};
    use super::*;

    fn draft(dialect: Dialect, body: &str) -> Draft {
        let mut draft = Draft::of(dialect, body.as_bytes()).expect("it takes tools");
        draft.add_tools(&testing::offer(&["bmcp_f_read"]));
        draft
    }

    fn text(draft: &Draft) -> String {
        String::from_utf8(draft.bytes().to_vec()).unwrap()
    }

    fn done() -> Done {
        let call = Call {
            id: "c1".to_owned(),
            name: "bmcp_f_read".to_owned(),
            arguments: "{}".to_owned(),
        };
        let outcome = Outcome {
            text: "42".to_owned(),
            is_error: false,
            not_run: String::new(),
        };
        (call, outcome)
    }

    #[test]
    fn tools_come_behind_the_programs_own_and_all_else_stays_as_it_stands() {
        let chat = r#"{ "x" : 1.0, "model":"m","tools":[{"type":"function","function":{"name":"own"}}] ,"messages": [ {"role":"user"} ]}"#;
        let draft = draft(Dialect::ChatCompletions, chat);
        assert_eq!(draft.own_tools(), ["own"]);
        let text = text(&draft);
        let begins = r#"{"x":1.0,"model":"m","tools":[{"type":"function","function":{"name":"own"}},{"function":{"#;
        assert!(text.starts_with(begins), "{text}");
        assert!(text.contains(r#""messages":[ {"role":"user"} ]"#), "{text}");
        assert!(text.ends_with(r#""parallel_tool_calls":false}"#), "{text}");
    }

    #[test]
    fn a_tool_of_a_free_form_keeps_its_name_to_itself() {
        for (dialect, body) in [
            (
                Dialect::ChatCompletions,
                r#"{"messages":[],"tools":[{"type":"custom","custom":{"name":"bmcp_f_read"}}]}"#,
            ),
            (
                Dialect::Responses,
                r#"{"input":"hi","tools":[{"type":"custom","name":"bmcp_f_read","format":{"type":"text"}}]}"#,
            ),
        ] {
            let draft = Draft::of(dialect, body.as_bytes()).expect("it takes tools");
            assert_eq!(draft.own_tools(), ["bmcp_f_read"], "{dialect:?}");
        }
    }

    #[test]
    fn each_dialect_is_told_of_tools_and_results_in_its_words() {
        let mut messages = draft(
            Dialect::Messages,
            r#"{"messages":[{"role":"user","content":"hi"}],"tool_choice":{"type":"any"}}"#,
        );
        messages.add_round(vec![json!({ "role": "assistant", "content": [] })], &[done()]);
        let value: Value = serde_json::from_str(&text(&messages)).unwrap();
        assert_eq!(value["tools"][0]["input_schema"], json!({ "type": "object" }));
        assert_eq!(
            value["tool_choice"],
            json!({ "type": "any", "disable_parallel_tool_use": true })
        );
        assert_eq!(value["messages"][2]["content"][0]["tool_use_id"], "c1");

        let mut responses = draft(Dialect::Responses, r#"{"input":"hi","store":false}"#);
        let said = vec![
            json!({ "type": "reasoning", "id": "r1" }),
            json!({ "type": "reasoning", "encrypted_content": "x" }),
            json!({ "type": "function_call", "call_id": "c1" }),
        ];
        responses.add_round(said, &[done()]);
        responses.forbid_tools();
        let value: Value = serde_json::from_str(&text(&responses)).unwrap();
        let kinds: Vec<&str> = value["input"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|item| item["type"].as_str())
            .collect();
        assert_eq!(kinds, ["message", "reasoning", "function_call", "function_call_output"]);
        assert_eq!(
            (&value["tool_choice"], &value["input"][3]["output"]),
            (&json!("none"), &json!("42"))
        );

        let mut chat = draft(Dialect::ChatCompletions, r#"{"messages":[]}"#);
        chat.add_round(vec![json!({ "role": "assistant" })], &[done()]);
        let value: Value = serde_json::from_str(&text(&chat)).unwrap();
        assert_eq!(
            value["messages"][1],
            json!({ "role": "tool", "tool_call_id": "c1", "content": "42" })
        );
    }

    #[test]
    fn what_wants_no_tools_or_makes_no_sense_gets_none() {
        for body in [
            "[]",
            r#"{"messages":7}"#,
            r#"{"messages":[],"tools":7}"#,
            r#"{"messages":[],"tool_choice":"none"}"#,
            r#"{"messages":[],"tool_choice":{"type":"none"}}"#,
            r#"{"messages":[],"functions":[]}"#,
            r#"{"messages":[],"conversation":"conv_1"}"#,
        ] {
            assert!(Draft::of(Dialect::ChatCompletions, body.as_bytes()).is_none(), "{body}");
        }
        assert!(Draft::of(Dialect::ChatCompletions, br#"{"messages":[],"tools":null}"#).is_some());
    }
}
