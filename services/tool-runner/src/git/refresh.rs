//! Pull requests in the background: chats that are due are taken from storage, their forges asked, the answers put back.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tandem_proto::common::v1::DiffStatus;
use tandem_proto::storage::v1::{ClaimDiffStatusesRequest, DiffStatusClaim, PutDiffStatusRequest};
use time::OffsetDateTime;

use super::Git;
use super::forge::{Failure, Place};
use crate::clients::{PAUSES, persist};

/// How often it is looked who is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Chats taken at once.
const BATCH: i32 = 50;

/// Owners and hosts asked for at once, each with one question at a time.
const MAX_QUESTIONS: usize = 10;

/// Until the next question, in seconds: as a rule, for a pull request that is expected, and where there is no credential.
const LIFE: i32 = 120;
const EXPECTED: i32 = 15;
const WITHOUT_CREDENTIAL: i32 = 600;

/// Asks until the future is dropped.
pub(super) async fn keep(git: &Git) {
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if let Err(status) = refresh(git).await {
            tracing::debug!(error = status.message(), "pull requests cannot be looked up");
        }
    }
}

/// One batch of those that are due.
async fn refresh(git: &Git) -> Result<(), tonic::Status> {
    let request = git.clients.own_request(ClaimDiffStatusesRequest { limit: BATCH });
    let claims = git
        .clients
        .git
        .clone()
        .claim_diff_statuses(request)
        .await?
        .into_inner()
        .claims;
    let mut groups: HashMap<(String, String), Vec<(Place, DiffStatusClaim)>> = HashMap::new();
    for claim in claims {
        match git.forges.place(&claim.remote_origin) {
            Some(place) => {
                let key = (claim.owner_id.clone(), place.host.clone());
                groups.entry(key).or_default().push((place, claim));
            }
            None => put(git, claim, None, WITHOUT_CREDENTIAL).await,
        }
    }
    let asked = stream::iter(groups.into_values()).map(|group| ask(git, group));
    asked.buffer_unordered(MAX_QUESTIONS).collect::<()>().await;
    Ok(())
}

/// The chats of one owner on one host. Once the host wants to be left alone, the rest of them waits.
async fn ask(git: &Git, group: Vec<(Place, DiffStatusClaim)>) {
    let Some((place, first)) = group.first() else { return };
    let credential = match git.credentials.of_chat(&first.chat_id, "", &place.host).await {
        Ok(credential) => credential,
        Err(status) => {
            // They are due again when their claim is over.
            tracing::debug!(error = status.message(), "a credential for a forge cannot be had");
            return;
        }
    };
    let mut limited_until: Option<OffsetDateTime> = None;
    for (place, claim) in group {
        let page = || DiffStatus {
            url: place.branch_url(&claim.branch),
            ..DiffStatus::default()
        };
        let Some(credential) = &credential else {
            let page = page();
            put(git, claim, Some(page), WITHOUT_CREDENTIAL).await;
            continue;
        };
        if let Some(until) = limited_until {
            put(git, claim, None, seconds_until(until, git.clock.now())).await;
            continue;
        }
        match git.forges.pull_request(&place, &claim.branch, &credential.token).await {
            Ok(Some(status)) => put(git, claim, Some(status), LIFE).await,
            Ok(None) => {
                let (life, page) = (if claim.is_recently_marked { EXPECTED } else { LIFE }, page());
                put(git, claim, Some(page), life).await;
            }
            Err(Failure::Limited(until)) => {
                limited_until = Some(until);
                put(git, claim, None, seconds_until(until, git.clock.now())).await;
            }
            Err(failure) => {
                tracing::info!(chat_id = claim.chat_id, host = place.host, %failure, "a pull request cannot be looked up");
                put(git, claim, None, LIFE).await;
            }
        }
    }
}

async fn put(git: &Git, claim: DiffStatusClaim, status: Option<DiffStatus>, seconds: i32) {
    let put = persist(&PAUSES, || {
        let request = git.clients.own_request(PutDiffStatusRequest {
            chat_id: claim.chat_id.clone(),
            branch: claim.branch.clone(),
            remote_origin: claim.remote_origin.clone(),
            status: status.clone(),
            stale_after_seconds: seconds,
        });
        let mut storage = git.clients.git.clone();
        async move { storage.put_diff_status(request).await }
    });
    if let Err(status) = put.await {
        tracing::debug!(
            chat_id = claim.chat_id,
            error = status.message(),
            "what a forge said is not recorded"
        );
    }
}

/// At least a life, so that a forge that says `now` is not asked at once.
fn seconds_until(until: OffsetDateTime, now: OffsetDateTime) -> i32 {
    i32::try_from((until - now).whole_seconds())
        .unwrap_or(LIFE)
        .clamp(LIFE, 3_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forge_that_wants_to_be_left_alone_is() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let seconds = |after| seconds_until(now + time::Duration::seconds(after), now);
        assert_eq!(
            [seconds(0), seconds(-9), seconds(600), seconds(99_999)],
            [120, 120, 600, 3_600]
        );
    }
}
