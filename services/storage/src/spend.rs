//! Whether a user may go on spending. Limits, periods and sums are `db::spend`'s; here is what follows from them.

use sqlx::PgConnection;
use tandem_chassis::status::Fault;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::db::spend::{self, Place, Standing};
use crate::error::Error;

/// Refuses whoever has spent what they may in an organisation. Calls under way do not count: they may turn out cheaper.
///
/// # Errors
/// `USAGE_LIMIT_EXCEEDED`.
pub(crate) async fn check(conn: &mut PgConnection, user: Uuid, organization: Uuid) -> Result<(), Error> {
    let place = Place {
        organization: Some(organization),
        chat: None,
    };
    match spend::standing(conn, user, place, None).await? {
        Some(standing) if standing.spent_micros >= standing.limit_micros => Err(exceeded(&standing).into()),
        Some(_) | None => Ok(()),
    }
}

/// Refuses what could lead beyond the limit: as long as calls under way may use it up, no other begins.
pub(crate) fn check_room(standing: &Standing) -> Result<(), Fault> {
    if standing.spent_micros >= standing.limit_micros {
        return Err(exceeded(standing));
    }
    if standing.spent_micros.saturating_add(standing.reserved_micros) < standing.limit_micros {
        return Ok(());
    }
    let text = "Calls of yours that are under way may use up what is left of your spend limit. Wait for them.";
    Err(with_facts(Fault::rate_limited("SPEND_RESERVED", text), standing)
        .with("reserved_micros", standing.reserved_micros))
}

fn exceeded(standing: &Standing) -> Fault {
    let until = standing.period_end.date();
    let text = format!("You have reached your spend limit. It begins anew on {until} (UTC).");
    with_facts(Fault::wrong_state("USAGE_LIMIT_EXCEEDED", text), standing)
}

fn with_facts(fault: Fault, standing: &Standing) -> Fault {
    fault
        .with("spent_micros", standing.spent_micros)
        .with("limit_micros", standing.limit_micros)
        .with("resets_at", standing.period_end.format(&Rfc3339).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn standing(spent_micros: i64, reserved_micros: i64) -> Standing {
        Standing {
            limit_micros: 100,
            period: "day".to_owned(),
            period_start: datetime!(2026-03-01 00:00 UTC),
            period_end: datetime!(2026-03-02 00:00 UTC),
            spent_micros,
            reserved_micros,
            organization_id: None,
        }
    }

    #[test]
    fn there_is_room_below_the_limit_and_none_at_it() {
        let reason =
            |spent, reserved| check_room(&standing(spent, reserved)).map_err(|fault| fault.reason.into_owned());
        assert_eq!(reason(0, 0), Ok(()));
        assert_eq!(reason(99, 0), Ok(()));
        assert_eq!(reason(49, 50), Ok(()));
        assert_eq!(reason(100, 0), Err("USAGE_LIMIT_EXCEEDED".to_owned()));
        assert_eq!(reason(i64::MAX, i64::MAX), Err("USAGE_LIMIT_EXCEEDED".to_owned()));
        assert_eq!(reason(50, 50), Err("SPEND_RESERVED".to_owned()));
        assert_eq!(reason(0, i64::MAX), Err("SPEND_RESERVED".to_owned()));
    }

    #[test]
    fn a_refusal_says_what_was_spent_and_when_it_begins_anew() {
        let fault = exceeded(&standing(120, 0));
        let facts: Vec<_> = fault
            .metadata
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            facts,
            ["limit_micros=100", "resets_at=2026-03-02T00:00:00Z", "spent_micros=120"]
        );
        assert!(fault.message.contains("2026-03-02"), "{}", fault.message);
    }
}
