//! `list_templates`: what workspaces can be made from.

use serde_json::{Value, json};
use tandem_chassis::status::Fault;
use tandem_proto::storage::v1::{ListTemplatesRequest, Template};

use super::arguments::{Arguments, must_be};
use super::{Outcome, Stop};
use crate::call::Context;

/// Templates on one page.
const PAGE: i32 = 10;

/// Highest page that can be asked for.
const MAX_PAGE: i64 = 1_000;

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Lists the templates a workspace can be made from, those most used first, ten on a page. Look at one with \
        read_template before making a workspace of it with create_workspace.";
    let schema = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "description": "Part of a name or a description. Default: all templates." },
            "page": { "type": "integer", "minimum": 1, "description": "Which page. Default 1." },
        },
    });
    (description, schema)
}

pub(super) async fn run(context: &Context<'_>, arguments: &Arguments) -> Result<Outcome, Stop> {
    let query = arguments.optional_text("query")?.unwrap_or_default().to_owned();
    let page = arguments.optional_integer("page")?.unwrap_or(1);
    let page = i32::try_from(page)
        .ok()
        .filter(|page| (1..=MAX_PAGE).contains(&i64::from(*page)))
        .ok_or_else(|| must_be("page", "1 to 1000"))?;
    let input = context.input();
    let message = ListTemplatesRequest {
        query,
        chat_id: input.chat_id.clone(),
        limit: PAGE,
        offset: (page - 1) * PAGE,
    };
    let request = context.clients().request(&input.user, message);
    let listed = context.clients().templates.clone().list_templates(request).await;
    let listed = listed
        .map_err(|status| Stop::Failed(Fault::from(status).message))?
        .into_inner();
    let pages = listed.total_count.saturating_add(PAGE - 1) / PAGE;
    let templates: Vec<Value> = listed.templates.iter().map(shown).collect();
    Ok(Outcome::Done(json!({
        "count": templates.len(),
        "templates": templates,
        "page": page,
        "total_pages": pages.max(1),
        "total_count": listed.total_count,
    })))
}

fn shown(template: &Template) -> Value {
    let mut shown = json!({
        "id": template.id,
        "name": template.name,
        "organization_id": template.organization_id,
        "active_developers": template.active_user_count,
    });
    for (key, text) in [
        ("display_name", &template.display_name),
        ("description", &template.description),
    ] {
        if !text.is_empty() {
            shown[key] = text.as_str().into();
        }
    }
    shown
}
