//! S02: a key belongs to the server it was entered for. Who moves a provider enters its keys again, and its users theirs.

use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::FakeLlm,
    world::{World, id_of, wait_for_status},
};

use crate::{LIMIT, Result, settled};

const OWN: &str = "sk-fake-canary-0000-mia";

/// A change of address, and how many of two keys it leaves; `None` where it is refused and changes nothing.
fn changes(port: u16) -> Vec<(String, Option<usize>)> {
    let at = |text: &str| text.replace("PORT", &port.to_string());
    let kept = [
        "http://127.0.0.1:PORT/v1/",
        "http://127.0.0.1:PORT/other/v2",
        "HTTP://127.0.0.1:PORT/v1",
        "http://127.1:PORT/v1",
        "http://2130706433:PORT/v1",
        "http://0x7f.0.0.1:PORT/v1",
        "  http://127.0.0.1:PORT/v1  ",
    ];
    let dropped = [
        "https://127.0.0.1:PORT/v1",
        "http://127.0.0.1/v1",
        "http://127.0.0.1:1/v1",
        "http://127.0.0.2:PORT/v1",
        "http://localhost:PORT/v1",
        "http://127.0.0.1.example.com:PORT/v1",
        "http://[::1]:PORT/v1",
        "http://[::ffff:127.0.0.1]:PORT/v1",
        "http://models.example.com:PORT/v1",
    ];
    let refused = [
        "http://user@127.0.0.1:PORT/v1",
        "http://127.0.0.1:PORT@models.example.com/v1",
        "http://127.0.0.1:PORT/v1?to=models.example.com",
        "http://127.0.0.1:PORT/v1#models.example.com",
        "http://169.254.169.254/v1",
        "file:///etc/passwd",
    ];
    let kept = kept.map(|url| (at(url), Some(2)));
    let dropped = dropped.map(|url| (at(url), Some(0)));
    let refused = refused.map(|url| (at(url), None));
    kept.into_iter().chain(dropped).chain(refused).collect()
}

fn key_count(provider: &Value) -> usize {
    provider["api_keys"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn s02_a_new_server_gets_no_key_that_was_entered_for_another() -> Result {
    let world = World::start().await?;
    let port = world.fake().address().port();
    let (base_url, rest) = (world.fake().base_url(), world.rest());
    for (number, (url, left)) in changes(port).into_iter().enumerate() {
        let name = format!("p{number}");
        let keys = ["sk-first-0123456789", "sk-second-0123456789"];
        let id = super::register(&world, "openai-compat", &name, &base_url, &keys).await?;
        let path = format!("/api/v1/ai/providers/{id}");
        let stored = rest.get(&path).await?.expect(200)?;
        assert_eq!(key_count(&stored), 2);
        let answer = rest.patch(&path, &json!({ "base_url": url })).await?;
        let now = rest.get(&path).await?.expect(200)?;
        match left {
            Some(left) => assert_eq!((answer.status, key_count(&now)), (200, left), "{url}: {now}"),
            None => assert_eq!(
                (answer.status, &now["base_url"], key_count(&now)),
                (400, &stored["base_url"], 2),
                "{url}: {now}"
            ),
        }
        // Naming the stored keys does not take them along either; entering one again does.
        if left == Some(0) {
            let id = super::register(&world, "openai-compat", &format!("q{number}"), &base_url, &keys).await?;
            let path = format!("/api/v1/ai/providers/{id}");
            let stored = rest.get(&path).await?.expect(200)?;
            let kept = json!([{ "id": stored["api_keys"][0]["id"] }, { "api_key": "sk-third-01234567wxyz" }]);
            let moved = rest
                .patch(&path, &json!({ "base_url": url, "api_keys": kept }))
                .await?
                .expect(200)?;
            assert_eq!(key_count(&moved), 1, "{moved}");
            assert!(
                moved["api_keys"][0]["masked"]
                    .as_str()
                    .is_some_and(|masked| masked.ends_with("wxyz")),
                "{moved}"
            );
        }
    }
    Ok(())
}

/// Users are not asked when an administrator moves a provider, so their keys stay behind as well.
#[tokio::test]
async fn s02_users_own_keys_do_not_follow_a_provider_to_another_server() -> Result {
    let world = World::builder().fake(FakeLlm::builder().key(OWN)).start().await?;
    let elsewhere = FakeLlm::builder().key(OWN).start().await?;
    let mia = world.create_user("mia").await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    world
        .rest()
        .patch(&path, &json!({ "allow_user_api_key": true }))
        .await?
        .expect(200)?;
    let own = "/api/v2/users/me/ai-provider-keys/fake";
    mia.rest.put(own, &json!({ "api_key": OWN })).await?.expect(200)?;
    let chat = world.create_chat_of(&mia, "Before").await?;
    let id = id_of(&chat)?;
    wait_for_status(&mia.rest, id, "waiting", LIMIT).await?;

    world
        .rest()
        .patch(&path, &json!({ "base_url": elsewhere.base_url() }))
        .await?
        .expect(200)?;
    let messages = format!("/api/v1/chats/{id}/messages");
    let message = json!({ "content": [{ "type": "text", "text": "After" }] });
    mia.rest.post(&messages, &message).await?.expect(200)?;
    let failed = wait_for_status(&mia.rest, id, "error", LIMIT).await?;
    assert_eq!(failed["last_error"]["kind"], "missing_key", "{failed}");
    assert_eq!(elsewhere.requests().len(), 0, "{}", elsewhere.summary());
    let shown = mia.rest.get("/api/v2/users/me/ai-provider-keys").await?.expect(200)?;
    assert_eq!(shown[0]["has_user_api_key"], false, "{shown}");

    mia.rest.put(own, &json!({ "api_key": OWN })).await?.expect(200)?;
    mia.rest.post(&messages, &message).await?.expect(200)?;
    wait_for_status(&mia.rest, id, "waiting", LIMIT).await?;
    assert_eq!(elsewhere.completions().len(), 1);
    Ok(())
}

/// The other way round, nothing is lost: with its keys entered anew a moved provider answers.
#[tokio::test]
async fn s02_a_moved_provider_answers_with_keys_entered_for_its_new_server() -> Result {
    let world = World::start().await?;
    let elsewhere = FakeLlm::start().await?;
    let path = format!("/api/v1/ai/providers/{}", world.provider_id());
    let change = json!({ "base_url": elsewhere.base_url(), "api_keys": [{ "api_key": elsewhere.api_key() }] });
    world.rest().patch(&path, &change).await?.expect(200)?;
    let chat = world.create_chat("Hello").await?;
    assert_eq!(settled(&world, id_of(&chat)?).await?[1], "assistant: You said: Hello");
    assert_eq!(
        (elsewhere.completions().len(), world.fake().completions().len()),
        (1, 0)
    );
    Ok(())
}
