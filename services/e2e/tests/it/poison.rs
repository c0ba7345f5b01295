//! D52: histories that no vendor would accept, written straight into the database. Each chat takes a new message and answers it, and
//! what is stored stays as it was.

mod corpus;

use futures::future::try_join_all;
use serde_json::json;
use tandem_e2e::world::{World, id_of};

use self::corpus::Poison;
use crate::{LIMIT, Result, conversation, drills::rounds, settled};

/// Chats that answer at once.
const AT_ONCE: usize = 4;
/// One of so many is tried in the short form.
const SHORT_FORM: usize = 6;
/// What is logged with the chat's id where something could not be sent, or not be read, as it is stored.
const RECORDS: [&str; 2] = [
    "the history was repaired for the model",
    "a stored message cannot be read",
];
/// The refusal from which the product learns that a prompt is too long.
const TOO_LONG: &str = "'messages': array too long";

#[tokio::test]
async fn d52_a_broken_history_takes_a_message_and_is_answered() -> Result {
    // Every test's own vendor is as strict as the real one about what it is sent.
    let world = World::builder().database().start().await?;
    let mut poisons = corpus::poisons();
    assert!(poisons.len() >= 80, "only {} poisons", poisons.len());
    if rounds() > 1 {
        poisons = poisons.iter().flat_map(Poison::variants).collect();
    } else {
        poisons = poisons.into_iter().step_by(SHORT_FORM).collect();
    }
    let mut wrong = Vec::new();
    for batch in poisons.chunks(AT_ONCE) {
        let taken = try_join_all(batch.iter().map(|poison| takes(&world, poison))).await?;
        wrong.extend(taken.into_iter().flatten());
        let refused = world
            .fake()
            .requests()
            .into_iter()
            .filter_map(|request| request.rejection);
        wrong.extend(refused.filter(|refusal| !refusal.contains(TOO_LONG)));
        world.fake().reset();
    }
    crate::tell(&format!("D52 {} broken histories", poisons.len()));
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), poisons.len());
    Ok(())
}

/// Poisons a chat that was well and talks to it; what came of it, unless it answered.
async fn takes(world: &World, poison: &Poison) -> Result<Option<String>> {
    let name = poison.name;
    let chat = world.create_chat(&format!("Before {name}.")).await?;
    let id = id_of(&chat)?;
    settled(world, id).await?;
    world.sql(&poison.statement(id)).await?;
    let before = fingerprint(world, id).await?;
    let (rows, digest) = before.split_once('|').unwrap_or_default();
    assert_eq!(rows.parse::<usize>()?, poison.count(), "{name} is not in the database");
    let question = format!("Are you well after {name}?");
    if let Err(error) = world.send(id, &question).await {
        return Ok(Some(format!("{name}: {error:#}")));
    }
    let chat = match world.wait_for_status(id, "waiting", LIMIT / 4).await {
        Ok(_) => world.messages(id).await,
        Err(error) => Err(error),
    };
    let messages = match chat {
        Ok(messages) => messages,
        Err(error) => return Ok(Some(format!("{name}: {error:#}"))),
    };
    let last = tandem_e2e::world::lines(&messages).pop().unwrap_or_default();
    if last != format!("assistant: You said: {question}") {
        return Ok(Some(format!("{name}: {last}")));
    }
    // The vendor was really asked about this history, and the question is where it belongs.
    let requests = world.fake().completions();
    let asked = requests
        .iter()
        .map(conversation)
        .any(|said| said.last() == Some(&crate::pair("user", &question)));
    assert!(asked, "{name}: nobody was asked");
    let after = fingerprint(world, id).await?;
    assert!(after.ends_with(digest), "{name}: what was stored has changed");
    if poison.is_to_be_repaired() {
        let logs = world.logs();
        let mut lines = logs.lines().filter(|line| line.contains(id));
        let recorded = lines.any(|line| RECORDS.iter().any(|record| line.contains(record)));
        assert!(recorded, "{name}: nobody recorded that it was repaired");
    }
    Ok(None)
}

/// How many poisoned messages there are, and a digest of them as they are stored.
async fn fingerprint(world: &World, chat_id: &str) -> Result<String> {
    let query = format!(
        "SELECT count(*), md5(string_agg(id || role || content::text, '' ORDER BY id)) FROM chat_messages
        WHERE chat_id = '{chat_id}' AND provider_response_id = 'poison'"
    );
    world.sql(&query).await
}

/// Pictures that each fit and together do not: the newest are shown, and the chat goes on however many there are.
#[tokio::test]
async fn d52_pictures_that_do_not_fit_together_make_room_for_the_newest() -> Result {
    const PICTURES: usize = 3;
    const BYTES: usize = 6 * 1024 * 1024;
    let world = World::start().await?;
    let chat = world.create_chat("Look at these.").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    for n in 1..=PICTURES {
        let file = upload(&world, &format!("picture-{n}.png"), BYTES).await?;
        let question = format!("What is on picture {n}?");
        let content = json!([{ "type": "text", "text": question }, { "type": "file", "file_id": file }]);
        let path = format!("/api/v1/chats/{id}/messages");
        let sent = world.rest().post(&path, &json!({ "content": content })).await?;
        sent.expect(200)?;
        let shown = settled(&world, id).await?;
        assert_eq!(shown.len(), 2 + 2 * n, "{shown:?}");
        assert!(shown.last().is_some_and(|last| last.contains(&question)), "{shown:?}");
    }
    let requests = world.fake().completions();
    let last = requests.last().map(|request| request.body["messages"].to_string());
    let last = last.unwrap_or_default();
    assert_eq!(last.matches("image_url\":{").count(), 2, "not as many as fit");
    assert_eq!(
        last.matches("picture-1.png").count(),
        1,
        "nothing says that there was another"
    );
    world.fake().check_no_rejections()
}

/// Uploads what looks like a picture; its id.
async fn upload(world: &World, name: &str, bytes: usize) -> Result<String> {
    let mut picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0".to_vec();
    picture.resize(bytes, 0);
    let path = format!("/api/v1/chats/files?organization={}", world.admin().organization_id);
    let request = world
        .rest()
        .request(reqwest::Method::POST, &path)
        .header("content-type", "image/png")
        .header("content-disposition", format!("attachment; filename=\"{name}\""))
        .body(picture);
    let file = tandem_e2e::world::finish(request, format!("upload of {name}")).await?;
    let file = file.expect(201)?;
    Ok(id_of(&file)?.to_owned())
}
