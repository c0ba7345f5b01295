//! The models that may answer in a model's place, as its options name them.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::convert;
use crate::db::models;
use crate::error::Error;

/// Models that may answer in one's place.
const MAX_FALLBACKS: usize = 4;

const FIELD: &str = "model_config.fallbacks";

/// Whether the models named by the options of `row` can answer in its place.
///
/// # Errors
/// A violation that says what is wrong with the list; nothing was written.
pub(super) async fn check(conn: &mut PgConnection, row: &models::Row) -> Result<(), Error> {
    let wanted = row.call_config.as_ref().and_then(|options| options.get("fallbacks"));
    let ids = wanted.map_or(Ok(Vec::new()), |wanted| parse(wanted, row.id));
    for id in ids.map_err(|rule| convert::one(FIELD, rule))? {
        if models::find(conn, id).await?.is_none_or(|row| row.is_deleted) {
            return Err(convert::one(FIELD, "must name models that exist"));
        }
    }
    Ok(())
}

fn parse(wanted: &Value, own: Uuid) -> Result<Vec<Uuid>, &'static str> {
    let Some(wanted) = wanted.as_array() else {
        return Err("must be a list of model ids");
    };
    if wanted.len() > MAX_FALLBACKS {
        return Err("must name at most 4 models");
    }
    let mut ids = Vec::with_capacity(wanted.len());
    for id in wanted {
        let id = id.as_str().and_then(|text| Uuid::try_parse(text).ok());
        let id = id.ok_or("must be a list of model ids")?;
        if id == own {
            return Err("must not name the model itself");
        }
        if ids.contains(&id) {
            return Err("must not name a model twice");
        }
        ids.push(id);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn up_to_four_other_models_each_once() {
        let id = |number: u128| Uuid::from_u128(number).to_string();
        let own = Uuid::from_u128(9);
        assert_eq!(parse(&json!([]), own), Ok(Vec::new()));
        assert_eq!(
            parse(&json!([id(2), id(1)]), own),
            Ok(vec![Uuid::from_u128(2), Uuid::from_u128(1)])
        );
        let many: Vec<String> = (0..5).map(id).collect();
        for bad in [
            json!("x"),
            json!([1]),
            json!(["x"]),
            json!([id(9)]),
            json!([id(1), id(1)]),
            json!(many),
        ] {
            assert!(parse(&bad, own).is_err(), "{bad}");
        }
    }
}
