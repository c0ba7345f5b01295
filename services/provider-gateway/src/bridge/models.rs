//! The lists of models, in the shape of each family.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Exchange,
    body::Body,
    dialect::{Dialect, Family, Layout},
    directory::{Entry, Listed},
    passthrough::lists_itself,
    refusal::{Reason, Refusal},
    route,
};

impl Exchange<'_> {
    /// All models; those of a named provider are its own to list, if it can.
    pub(super) async fn models(self) -> Result<Response<Body>, Refusal> {
        if self.fixed.as_ref().is_some_and(lists_itself) {
            return self.pass_on("models", true, Bytes::new()).await;
        }
        let family = self.family();
        let models = self.parts.directory.list(dialect(family), self.fixed.as_ref()).await?;
        let data: Vec<Value> = models
            .iter()
            .map(|(name, entry, serving)| one(family, name, entry, serving))
            .collect();
        let id_of = |model: Option<&Value>| model.map_or(Value::Null, |model| model["id"].clone());
        Ok(answer(&match family {
            Family::OpenAi => json!({ "object": "list", "data": data }),
            Family::Anthropic => json!({
                "first_id": id_of(data.first()), "last_id": id_of(data.last()), "has_more": false, "data": data
            }),
        }))
    }

    /// One model, by any name that means it.
    pub(super) async fn model(self, name: &str) -> Result<Response<Body>, Refusal> {
        if self.fixed.as_ref().is_some_and(lists_itself) {
            let path = format!("models/{name}");
            return self.pass_on(&path, true, Bytes::new()).await;
        }
        let family = self.family();
        let name = decoded(name);
        let models = self.parts.directory.list(dialect(family), self.fixed.as_ref()).await?;
        let means = |(listed, entry, serving): &&(String, Entry, Listed)| {
            *listed == name || name.split_once(['/', ':']) == Some((&serving.name, &entry.model))
        };
        let found = models.iter().find(means).ok_or_else(|| {
            let text = format!("The model {name} is not known here.");
            Refusal::new(Reason::UnknownModel, text)
        })?;
        let (_, entry, serving) = found;
        Ok(answer(&one(family, &name, entry, serving)))
    }

    fn family(&self) -> Family {
        match &self.fixed {
            Some(listed) => Layout::of(listed.kind).family(),
            None => route::family_of(self.uri.path()),
        }
    }
}

/// By which dialect names are told apart.
fn dialect(family: Family) -> Dialect {
    match family {
        Family::OpenAi => Dialect::ChatCompletions,
        Family::Anthropic => Dialect::Messages,
    }
}

fn one(family: Family, name: &str, entry: &Entry, serving: &Listed) -> Value {
    match family {
        Family::OpenAi => json!({
            "id": name, "object": "model", "created": entry.created_at, "owned_by": serving.name
        }),
        Family::Anthropic => {
            let created = OffsetDateTime::from_unix_timestamp(entry.created_at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let display_name = match entry.display_name.as_str() {
                "" => name,
                display_name => display_name,
            };
            json!({
                "type": "model", "id": name, "display_name": display_name,
                "created_at": created.format(&Rfc3339).unwrap_or_default()
            })
        }
    }
}

/// A name as it stands in a path.
fn decoded(name: &str) -> String {
    String::from_utf8_lossy(&route::percent_decoded(name)).into_owned()
}

fn answer(body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from(body.to_string())));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
