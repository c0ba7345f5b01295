//! Whether PostgreSQL answers: asked again and again, told as a check of storage's health, so that readiness is the truth.
//!
//! Asked on a connection of its own: a pool that is merely busy is no reason to send callers away.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tandem_chassis::health::Check;

use crate::db::Pool;

/// Between two questions, and while there is no answer.
const INTERVAL: Duration = Duration::from_secs(1);
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Time the database has to answer, a new connection included.
const LIMIT: Duration = Duration::from_secs(2);

/// Asks until the future is dropped.
pub(crate) async fn watch(pool: Pool, check: Check) {
    let mut connection = None;
    loop {
        match tokio::time::timeout(LIMIT, ask(&pool, connection.take())).await {
            Ok(Ok(answered)) => {
                connection = Some(answered);
                check.pass();
                tokio::time::sleep(INTERVAL).await;
            }
            failed => {
                if let Ok(Err(error)) = failed {
                    tracing::debug!(%error, "the database does not answer");
                }
                check.fail("the database does not answer");
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    }
}

async fn ask(pool: &Pool, connection: Option<PgConnection>) -> Result<PgConnection, sqlx::Error> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => pool.connect_aside().await?,
    };
    connection.ping().await?;
    Ok(connection)
}
