//! Other models in the place of the one a program asked for.

use serde_json::{Value, json};
use tandem_chassis::status::Fault;

use super::{
    Answer, Bridged, KEYS, PRICED, chat, completion, streamed, until,
    upstream::{Reply, Upstream},
};

/// Says who answers, where that is another model.
const ANSWERED_BY: &str = "x-tandem-fallback-model";

/// Other models at vendors of their own, which may answer in the place of `m-1`, in this order.
async fn spares<const N: usize>(bridged: &Bridged, kinds: [&str; N]) -> [Upstream; N] {
    let mut names = Vec::new();
    let mut spares = Vec::new();
    for (number, kind) in kinds.into_iter().enumerate() {
        let (spare, at) = Upstream::start().await;
        let other = bridged.world.provider(kind, &format!("{at}/v1"), &KEYS).await;
        let id = bridged.world.model(&other, PRICED);
        let mut models = bridged.world.storage.models.lock().unwrap();
        models.get_mut(&id).unwrap().model = format!("spare-{number}");
        names.push(id);
        spares.push(spare);
    }
    let mut models = bridged.world.storage.models.lock().unwrap();
    let asked = models.values_mut().find(|model| model.model == "m-1").unwrap();
    let mut options: Value = serde_json::from_str(&asked.call_config_json).unwrap();
    options["fallbacks"] = json!(names);
    asked.call_config_json = options.to_string();
    drop(models);
    spares.try_into().unwrap_or_else(|_| unreachable!("as many as kinds"))
}

fn answered_by(answer: &Answer) -> &str {
    let name = answer.headers.get(ANSWERED_BY);
    name.map_or("", |name| name.to_str().unwrap())
}

/// It is an answer, and that model's.
fn check_answered_by(answer: &Answer, model: &str) {
    assert_eq!((answer.status, answered_by(answer)), (200, model), "{}", answer.text);
}

/// A whole answer in Messages.
fn message() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "spare-0", "stop_reason": "end_turn",
        "content": [{ "type": "text", "text": "hello" }], "usage": { "input_tokens": 7, "output_tokens": 2 },
    })
}

const STREAM: &str = concat!(
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hello\"}}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3,\"total_tokens\":15}}\n\n",
    "data: [DONE]\n\n",
);

#[tokio::test]
async fn a_vendor_without_room_gives_way_to_one_of_its_dialect() {
    let bridged = Bridged::start("openai").await;
    let [spare] = spares(&bridged, ["openai-compat"]).await;
    let asked = json!({ "model": "m-1", "seed": 7, "messages": [{ "role": "user", "content": "hi there" }] });
    for (status, words) in [(503, "busy"), (529, "overloaded")] {
        bridged.upstream.reply(Reply::new(status, "text/plain", words));
        spare.reply(Reply::json(&completion()));
        let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &asked)).await;
        check_answered_by(&answer, "spare-0");
        let got = spare.last();
        assert_eq!(
            (&got.json()["model"], &got.json()["seed"]),
            (&json!("spare-0"), &json!(7))
        );
        assert_eq!(got.header("authorization"), format!("Bearer {}", KEYS[0]));
    }
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    spare.reply(Reply::stream(STREAM));
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &streamed(asked))).await;
    assert_eq!((answer.status, answered_by(&answer)), (200, "spare-0"));
    assert!(answer.text.contains("hello"), "{}", answer.text);
    bridged.check_nothing_leaked();
}

#[tokio::test]
async fn who_answers_is_paid_and_who_did_not_is_not() {
    let bridged = Bridged::start("openai").await;
    let [spare] = spares(&bridged, ["openai"]).await;
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    spare.reply(Reply::json(&completion()));
    assert_eq!(bridged.chat().await.status, 200);
    assert_eq!(bridged.paid().await, ("bridge".to_owned(), 12, 3, false));
    let ledger = bridged.world.storage.ledger.lock().unwrap();
    let models = bridged.world.storage.models.lock().unwrap();
    assert_eq!(models[&ledger.records[0].model_config_id].model, "spare-0");
}

#[tokio::test]
async fn a_vendor_of_another_dialect_is_asked_in_its_own() {
    let bridged = Bridged::start("openai").await;
    let [spare] = spares(&bridged, ["anthropic"]).await;
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    spare.reply(Reply::json(&message()));
    let answer = bridged.chat().await;
    check_answered_by(&answer, "spare-0");
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hello");
    assert_eq!(spare.last().path_and_query, "/v1/messages");
    assert_eq!(bridged.paid().await, ("bridge".to_owned(), 7, 2, false));
}

#[tokio::test]
async fn a_translated_answer_of_another_model_says_so_too() {
    let bridged = Bridged::start("anthropic").await;
    let [spare] = spares(&bridged, ["openai-compat"]).await;
    for is_stream in [false, true] {
        bridged.upstream.reply(Reply::new(529, "text/plain", "overloaded"));
        spare.reply(if is_stream {
            Reply::stream(STREAM)
        } else {
            Reply::json(&completion())
        });
        let body = if is_stream { streamed(chat("m-1")) } else { chat("m-1") };
        let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &body)).await;
        check_answered_by(&answer, "spare-0");
    }
}

#[tokio::test]
async fn what_the_client_sets_is_told_whoever_answers() {
    let bridged = Bridged::start("anthropic").await;
    let [unlike, like] = spares(&bridged, ["anthropic", "openai"]).await;
    let mut asked = chat("m-1");
    asked["temperature"] = json!(0.5);
    asked["stop"] = json!(["END"]);
    for name in ["spare-0", "spare-1"] {
        bridged.upstream.reply(Reply::new(529, "text/plain", "overloaded"));
        if name == "spare-0" {
            unlike.reply(Reply::json(&message()));
        } else {
            unlike.reply(Reply::new(529, "text/plain", "overloaded"));
            like.reply(Reply::json(&completion()));
        }
        let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &asked)).await;
        assert_eq!((answer.status, answered_by(&answer)), (200, name), "{}", answer.text);
    }
    let told = unlike.last().json();
    assert_eq!(
        (&told["temperature"], &told["stop_sequences"]),
        (&json!(0.5), &json!(["END"]))
    );
    let told = like.last().json();
    assert_eq!((&told["temperature"], &told["stop"]), (&json!(0.5), &json!(["END"])));
}

#[tokio::test]
async fn limits_of_all_keys_and_vendors_out_of_reach_give_way() {
    let bridged = Bridged::start("openai").await;
    let [spare] = spares(&bridged, ["openai"]).await;
    for _ in KEYS {
        bridged.upstream.reply(Reply::new(429, "text/plain", "slow down"));
    }
    for _ in 0..2 {
        // First the vendor says so, then all keys rest.
        spare.reply(Reply::json(&completion()));
        let answer = bridged.chat().await;
        check_answered_by(&answer, "spare-0");
    }
    assert_eq!(bridged.upstream.asked().len(), KEYS.len());
}

#[tokio::test]
async fn what_somebody_has_to_mend_is_told_as_it_is() {
    let bridged = Bridged::start("openai").await;
    let [spare] = spares(&bridged, ["openai"]).await;
    let quota = r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
    for (status, body) in [(400, "{\"error\":{\"message\":\"no\"}}"), (404, "{}"), (422, "{}")] {
        bridged.upstream.reply(Reply::new(status, "application/json", body));
        assert_eq!(bridged.chat().await.status, status);
    }
    for _ in KEYS {
        bridged.upstream.reply(Reply::new(429, "application/json", quota));
    }
    assert_eq!(bridged.chat().await.status, 429);
    assert_eq!(spare.asked().len(), 0);
}

#[tokio::test]
async fn a_limit_that_cannot_be_looked_at_is_no_lack_of_room() {
    for kind in ["openai", "anthropic"] {
        let bridged = Bridged::start_with(kind, &KEYS, |config| config.spend.fail_closed = true).await;
        let [spare] = spares(&bridged, ["openai"]).await;
        {
            let mut ledger = bridged.world.storage.ledger.lock().unwrap();
            ledger.is_limited = true;
            ledger.refusal = Some(Fault::internal("ODD", "odd"));
        }
        assert!(bridged.chat().await.status >= 500);
        let looked = bridged.world.storage.ledger.lock().unwrap().reservations.len();
        assert_eq!((looked, spare.asked().len()), (1, 0), "{kind}");
    }
}

#[tokio::test]
async fn where_nobody_answers_the_client_is_told_why_the_model_asked_for_did_not() {
    let bridged = Bridged::start("openai").await;
    let [like, unlike] = spares(&bridged, ["openai", "anthropic"]).await;
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    like.reply(Reply::new(400, "text/plain", "what is that"));
    unlike.reply(Reply::new(401, "text/plain", "who are you"));
    unlike.reply(Reply::new(401, "text/plain", "who are you"));
    let answer = bridged.chat().await;
    assert_eq!((answer.status, answer.text.as_str()), (503, "busy"));
    assert_eq!(answered_by(&answer), "");
    assert_eq!((like.asked().len(), unlike.asked().len()), (1, KEYS.len()));
    bridged.recorded(|recorded| !recorded.ends.is_empty()).await;
    let recorded = bridged.world.storage.recorded.lock().unwrap();
    let seen: Vec<i32> = recorded.ends.iter().map(|end| end.status).collect();
    assert_eq!(
        (recorded.starts.len(), seen.as_slice()),
        (1, &[503][..]),
        "as the client sees it"
    );
}

#[tokio::test]
async fn what_broke_off_before_its_first_byte_is_paid_apart_from_the_answer() {
    for kind in ["openai", "anthropic"] {
        let bridged = Bridged::start("openai").await;
        bridged.world.storage.ledger.lock().unwrap().is_limited = true;
        let [spare] = spares(&bridged, [kind]).await;
        bridged.upstream.reply(Reply::stream("").broken());
        let whole = if kind == "openai" { completion() } else { message() };
        spare.reply(Reply::json(&whole));
        let answer = bridged.chat().await;
        check_answered_by(&answer, "spare-0");
        let storage = &bridged.world.storage;
        until(&storage.told, || storage.ledger.lock().unwrap().records.len() == 2).await;
        let ledger = storage.ledger.lock().unwrap();
        let [first, second] = ledger.records.as_slice() else {
            panic!("two records, not {:?}", ledger.records)
        };
        // Storage takes one record for each id.
        assert_ne!(first.completion_id, second.completion_id, "{kind}");
        assert_eq!((first.model.as_str(), first.is_estimated), ("m-1", true));
        assert_eq!((second.model.as_str(), second.is_estimated), ("spare-0", false));
        assert!(ledger.reserved.is_empty(), "{:?}", ledger.reserved);
    }
}

#[tokio::test]
async fn no_vendor_says_who_answers() {
    let bridged = Bridged::start("openai").await;
    let [spare] = spares(&bridged, ["openai"]).await;
    let made_up = || Reply::json(&completion()).header(ANSWERED_BY, "made-up");
    bridged.upstream.reply(made_up());
    assert_eq!(answered_by(&bridged.chat().await), "");
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    spare.reply(made_up());
    assert_eq!(answered_by(&bridged.chat().await), "spare-0");
}

#[tokio::test]
async fn a_failure_behind_tools_that_have_run_is_that_of_the_model_that_called_them() {
    let bridged = Bridged::start_with("openai", &KEYS, |config| config.bridge.inject_mcp_tools = true).await;
    bridged.world.tool_runner.offer("bmcp_files_read");
    bridged.world.tool_runner.answer("forty-two", false);
    let [spare] = spares(&bridged, ["openai"]).await;
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    let function = json!({ "name": "bmcp_files_read", "arguments": "{}" });
    let mut called = completion();
    called["choices"][0]["finish_reason"] = json!("tool_calls");
    called["choices"][0]["message"]["tool_calls"] = json!([{ "id": "c1", "type": "function", "function": function }]);
    spare.reply(Reply::json(&called));
    spare.reply(Reply::new(500, "text/plain", "broken"));
    let answer = bridged.chat().await;
    assert_eq!(
        (answer.status, answered_by(&answer)),
        (500, "spare-0"),
        "{}",
        answer.text
    );
    bridged.recorded(|recorded| !recorded.ends.is_empty()).await;
    assert_eq!(bridged.world.storage.recorded.lock().unwrap().ends[0].status, 500);
}

#[tokio::test]
async fn what_another_dialect_cannot_say_passes_its_models_over() {
    let bridged = Bridged::start("openai").await;
    let [unlike, like] = spares(&bridged, ["anthropic", "openai"]).await;
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    like.reply(Reply::json(&completion()));
    let mut asked = chat("m-1");
    asked["n"] = json!(2);
    let answer = Answer::of(bridged.post("/openai/v1/chat/completions", &asked)).await;
    check_answered_by(&answer, "spare-1");
    assert_eq!(unlike.asked().len(), 0);
}

#[tokio::test]
async fn requests_with_tools_put_in_give_way_as_well() {
    let bridged = Bridged::start_with("openai", &KEYS, |config| config.bridge.inject_mcp_tools = true).await;
    bridged.world.tool_runner.offer("bmcp_files_read");
    let [spare] = spares(&bridged, ["openai"]).await;
    bridged.upstream.reply(Reply::new(503, "text/plain", "busy"));
    spare.reply(Reply::json(&completion()));
    let answer = bridged.chat().await;
    check_answered_by(&answer, "spare-0");
    let tools = &spare.last().json()["tools"];
    assert_eq!(tools[0]["function"]["name"], "bmcp_files_read", "{tools}");
}
