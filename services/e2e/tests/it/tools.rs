//! Tools in a local workspace.

use serde_json::json;
use tandem_e2e::{
    fake_llm::{RecordedRequest, Reply, Script},
    world::{Transcript, World, id_of},
};

use crate::{LIMIT, Result, settled};

/// The workspace's directory as its tools see it, learnt by asking.
pub async fn workspace_directory(world: &World, id: &str, question: &str) -> Result<String> {
    let call = Reply::call("execute", json!({ "command": "pwd" }));
    world
        .fake()
        .script(Script::turn([call, Reply::text("There.")]).when_user_says(question));
    world.send(id, question).await?;
    settled(world, id).await?;
    let results = results(&last_request(world));
    let output = results[results.len() - 1]["output"].as_str().unwrap_or_default();
    Ok(output.trim().to_owned())
}

/// The newest request to the model.
pub fn last_request(world: &World) -> RecordedRequest {
    world.fake().completions().pop().expect("a request")
}

/// The tool results a request carried, as JSON.
pub fn results(request: &RecordedRequest) -> Vec<serde_json::Value> {
    let parse = |text: String| serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text));
    request
        .tool_results()
        .into_iter()
        .map(|(_, text)| parse(text))
        .collect()
}

#[tokio::test]
async fn three_tool_calls_in_one_step_run_and_their_results_reach_the_model() -> Result {
    let world = World::start().await?;
    let step = Reply::text("Looking.")
        .tool_call_with_id("call_one", "execute", json!({ "command": "echo one" }))
        .tool_call_with_id("call_two", "execute", json!({ "command": "echo two; exit 3" }))
        .tool_call_with_id("call_three", "process_list", json!({}));
    world
        .fake()
        .script(Script::turn([step, Reply::text("All three done.")]));
    let chat = world.create_chat("Run three").await?;
    let id = id_of(&chat)?;
    let stream = world.stream(id).await?;
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown,
        [
            "user: Run three",
            "assistant: Looking. [tool-call execute] [tool-call execute] [tool-call process_list]",
            "tool: [tool-result execute]",
            "tool: [tool-result execute]",
            "tool: [tool-result process_list]",
            "assistant: All three done.",
        ]
    );
    let request = last_request(&world);
    let ids: Vec<_> = request.tool_results().iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(ids, ["call_one", "call_two", "call_three"]);
    let results = results(&request);
    assert_eq!(results[0]["output"].as_str().map(str::trim), Some("one"));
    assert_eq!(results[0]["exit_code"], 0);
    assert_eq!(results[1]["exit_code"], 3);
    assert!(results[2]["processes"].is_array(), "{}", results[2]);

    let events = stream.settled(LIMIT).await?;
    assert_eq!(Transcript::of(&events).lines(), shown);
    assert_eq!(world.fake().completions().len(), 2);
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_file_is_written_edited_read_and_seen_by_commands() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let directory = workspace_directory(&world, id, "Where are we?").await?;
    let path = format!("{directory}/notes/todo.txt");
    world.fake().script(
        Script::turn([
            Reply::call("write_file", json!({ "path": path, "content": "milk\nbread\n" })),
            Reply::call(
                "edit_files",
                json!({ "files": [{ "path": path, "edits": [{ "search": "milk", "replace": "oat milk" }] }] }),
            ),
            Reply::call("read_file", json!({ "path": path })).tool_call(
                "execute",
                json!({ "command": "cat notes/todo.txt", "workdir": directory }),
            ),
            Reply::text("Written."),
        ])
        .when_user_says("Note it"),
    );
    world.send(id, "Note it").await?;
    settled(&world, id).await?;
    let results = results(&last_request(&world));
    let [wrote, edited, read, cat] = &results[results.len() - 4..] else {
        panic!("four results expected: {results:?}");
    };
    assert_eq!(wrote["ok"], true, "{wrote}");
    let diff = edited["files"][0]["diff"].as_str().unwrap_or_default();
    assert!(diff.contains("-milk") && diff.contains("+oat milk"), "{edited}");
    assert!(
        read["content"]
            .as_str()
            .unwrap_or_default()
            .contains("1\toat milk\n2\tbread"),
        "{read}"
    );
    assert_eq!(cat["output"].as_str().map(str::trim), Some("oat milk\nbread"));
    Ok(())
}

#[tokio::test]
async fn commands_see_neither_secrets_nor_the_data_of_the_system() -> Result {
    let world = World::start().await?;
    let data = world.data().display().to_string();
    let commands = [
        "env".to_owned(),
        format!("cat {data}/secrets/* {data}/postgres/*/PG_VERSION 2>/dev/null | head -c 100"),
        "cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a TANDEM_BOOTSTRAP; true".to_owned(),
        format!("ls {data}/postgres {data}/secrets 2>/dev/null; true"),
    ];
    let step = commands.iter().fold(Reply::new(), |reply, command| {
        reply.tool_call("execute", json!({ "command": command }))
    });
    world.fake().script(Script::turn([step, Reply::text("Nothing there.")]));
    let chat = world.create_chat("Look around").await?;
    settled(&world, id_of(&chat)?).await?;
    let outputs: Vec<String> = results(&last_request(&world))
        .iter()
        .map(|result| result["output"].as_str().unwrap_or_default().trim().to_owned())
        .collect();
    assert_eq!(outputs.len(), commands.len());
    let token = world.rest().token().unwrap_or_default();
    for (command, output) in commands.iter().zip(&outputs) {
        for secret in [token, world.fake().api_key(), "TANDEM_BOOTSTRAP_TOKEN"] {
            assert!(!output.contains(secret), "{command} shows {secret}");
        }
    }
    for (command, output) in commands.iter().zip(&outputs).skip(1) {
        assert_eq!(output, "", "{command} found something");
    }
    Ok(())
}

#[tokio::test]
async fn broken_arguments_unknown_tools_and_outside_paths_are_errors_the_model_can_read() -> Result {
    let world = World::start().await?;
    let outside = "/etc/tandem-was-here";
    let step = Reply::new()
        .tool_call_raw(Some("call_broken".into()), "execute", "{\"command\": ")
        .tool_call_raw(Some("call_list".into()), "execute", "[1,2]")
        .tool_call_with_id("call_missing", "execute", json!({}))
        .tool_call_with_id("call_unknown", "launch_rocket", json!({}))
        .tool_call_with_id("call_outside", "write_file", json!({ "path": outside, "content": "x" }))
        .tool_call_with_id("call_relative", "read_file", json!({ "path": "../../secrets/service" }));
    world.fake().script(Script::turn([step, Reply::text("I give up.")]));
    let chat = world.create_chat("Do it all wrong").await?;
    let id = id_of(&chat)?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: I give up."));
    let messages = world.messages(id).await?;
    let failed: Vec<_> = messages
        .iter()
        .filter(|message| message["role"] == "tool")
        .flat_map(|message| message["content"].as_array().cloned().unwrap_or_default())
        .map(|part| {
            let told = part["is_error"] == true || part["result"]["error"].is_string();
            (part["tool_call_id"].as_str().unwrap_or_default().to_owned(), told)
        })
        .collect();
    let ids = [
        "call_broken",
        "call_list",
        "call_missing",
        "call_unknown",
        "call_outside",
        "call_relative",
    ];
    assert_eq!(failed, ids.map(|id| (id.to_owned(), true)));
    assert!(!std::path::Path::new(outside).exists());

    world.send(id, "Still there?").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: You said: Still there?")
    );
    world.fake().check_no_rejections()
}
