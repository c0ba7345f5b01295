//! What holds for every vendor, whatever its protocol: what tests of protocols share.

use serde_json::json;
use tandem_e2e::{
    fake_llm::KeyState,
    world::{Transcript, World, id_of},
};

use crate::{LIMIT, Result, settled};

/// Asks, with a script whose last reply alone succeeds; the chat and the kinds of error its readers were told of meanwhile.
pub async fn patient(world: &World, answer: &str) -> Result<(String, Vec<String>)> {
    let chat = world.create_chat("Be patient").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let shown = settled(world, id).await?;
    assert_eq!(shown, ["user: Be patient".to_owned(), format!("assistant: {answer}")]);
    let told = Transcript::of(&stream.settled(LIMIT).await?);
    let kinds = told.retries.iter().filter_map(|retry| retry["kind"].as_str());
    Ok((id.to_owned(), kinds.map(str::to_owned).collect()))
}

/// A key in this state ends the turn with its reason.
pub async fn ends_with(world: &World, id: &str, state: KeyState, kind: &str, status: u16) -> Result {
    world.fake().set_key(world.fake().api_key(), state);
    world.send(id, "And now?").await?;
    let failed = world.wait_for_status(id, "error", LIMIT).await?;
    let error = &failed["last_error"];
    assert_eq!(
        (&error["kind"], &error["status_code"]),
        (&json!(kind), &json!(status)),
        "{error}"
    );
    Ok(())
}

/// With a valid key the same chat goes on; what it answers to the next message.
pub async fn goes_on(world: &World, id: &str) -> Result<String> {
    world.fake().set_key(world.fake().api_key(), KeyState::Valid);
    world.send(id, "Again").await?;
    Ok(settled(world, id).await?.pop().unwrap_or_default())
}
