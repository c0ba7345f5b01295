//! Tools under fire, and what their results become in a chat.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Service, World, id_of, text},
};

use crate::drills::{rounds, tell};
use crate::tools::{last_request, results};
use crate::{LIMIT, Result, settled};

/// Longest time until nothing of a command is left after its tool-runner was killed.
const GONE: Duration = Duration::from_secs(5);

/// Waits for a file of that name below `directory`.
async fn found(directory: &Path, name: &str) -> Result<PathBuf> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut open = vec![directory.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.file_name() == name {
                    return Ok(entry.path());
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(entry.path());
                }
            }
        }
        ensure!(Instant::now() < deadline, "{name} is nowhere");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Processes that work below `directory`, with their command lines.
fn working_in(directory: &Path) -> Vec<String> {
    let ids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    ids.filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory)))
        .map(|entry| {
            String::from_utf8_lossy(&std::fs::read(entry.path().join("cmdline")).unwrap_or_default()).into_owned()
        })
        .collect()
}

#[tokio::test]
async fn d04_a_killed_tool_runner_takes_its_commands_along_and_none_runs_twice() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    let mut gone = Vec::new();
    for round in 0..rounds() {
        let (question, marker) = (format!("Count {round}."), format!("marker-{round}"));
        // Children of every kind: in the group, in a session of their own, and twice removed.
        let command = format!(
            "echo run >> {marker}; sleep 300 & setsid sleep 300 & setsid sh -c 'sh -c \"sleep 300 &\" &' & sleep 4; echo end >> {marker}"
        );
        let call = Reply::call("execute", json!({ "command": command, "timeout": "1m" }));
        world
            .fake()
            .script(Script::turn([call, Reply::text("Counted.")]).when_user_says(&question));
        let chat = world.create_chat(&question).await?;
        let id = id_of(&chat)?;
        let marker = found(world.data(), &marker).await?;
        let home = marker.parent().unwrap_or(world.data()).to_owned();
        ensure!(!working_in(&home).is_empty(), "nothing runs");
        let killed = Instant::now();
        world.kill9_service(Service::ToolRunner).await?;
        while !working_in(&home).is_empty() {
            ensure!(killed.elapsed() < GONE, "left: {:?}", working_in(&home));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        gone.push(killed.elapsed());
        world.restart().await?;
        let shown = settled(&world, id).await?;
        assert_eq!(
            shown.last().map(String::as_str),
            Some("assistant: Counted."),
            "{shown:?}"
        );
        let effect = std::fs::read_to_string(&marker)?;
        // The file is made before the word is in it.
        ensure!(["", "run\n"].contains(&effect.as_str()), "effects: {effect:?}");
        let told = results(&last_request(&world)).pop().unwrap_or_default();
        ensure!(told.as_str().unwrap_or_default().contains("unknown"), "told: {told}");
        world.fake().check_no_rejections()?;
    }
    tell("D04", "kill -9 of tool-runner during a command", gone);
    Ok(())
}

/// The parts of all messages of a role.
async fn parts(world: &World, id: &str, role: &str) -> Result<Vec<Value>> {
    let messages = world.messages(id).await?;
    let of_role = messages.into_iter().filter(|message| message["role"] == role);
    Ok(of_role
        .flat_map(|message| message["content"].as_array().cloned().unwrap_or_default())
        .collect())
}

#[tokio::test]
async fn an_attached_file_is_shown_in_the_chat_and_can_be_fetched() -> Result {
    let world = World::start().await?;
    world.fake().script(
        Script::turn([
            Reply::call("write_file", json!({ "path": "report.csv", "content": "a,b\n1,2\n" })),
            Reply::call("attach_file", json!({ "path": "report.csv", "name": "Report.csv" })),
            Reply::text("Here it is."),
        ])
        .when_user_says("Give me the report"),
    );
    let chat = world.create_chat("Give me the report").await?;
    let id = id_of(&chat)?;
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("assistant: Here it is."),
        "{shown:?}"
    );
    let said = parts(&world, id, "assistant").await?;
    let files: Vec<&Value> = said.iter().filter(|part| part["type"] == "file").collect();
    let [file] = files.as_slice() else {
        panic!("one file expected: {said:?}");
    };
    assert_eq!(
        (&file["name"], &file["media_type"]),
        (&json!("Report.csv"), &json!("text/csv"))
    );
    let told = results(&last_request(&world)).pop().unwrap_or_default();
    assert_eq!(
        (&told["ok"], &told["file_id"], &told["size"]),
        (&json!(true), &file["file_id"], &json!(8))
    );
    let listed = world.rest().get(&format!("/api/v1/chats/{id}")).await?.expect(200)?;
    assert_eq!(listed["files"][0]["id"], file["file_id"], "{listed}");

    // The next turn's prompt is sound, and the chat goes on.
    world.send(id, "Thanks").await?;
    let shown = settled(&world, id).await?;
    assert_eq!(shown.last().map(String::as_str), Some("assistant: You said: Thanks"));
    world.fake().check_no_rejections()
}

#[tokio::test]
async fn a_planning_turn_ends_with_its_question_and_with_its_plan() -> Result {
    let world = World::start().await?;
    let question = json!({ "header": "Store", "question": "Which?", "options": [
        { "label": "Files", "description": "Plain files." }, { "label": "Tables", "description": "A database." },
    ] });
    let asked = json!({ "questions": [question] });
    world.fake().script(
        Script::turn([
            // A question that is no question is told to the model, and the turn goes on.
            Reply::call("ask_user_question", json!({ "questions": [] })),
            Reply::call("ask_user_question", asked.clone()),
            Reply::text("This must not be asked for."),
        ])
        .when_user_says("Plan it"),
    );
    let body =
        json!({ "organization_id": world.admin().organization_id, "content": text("Plan it"), "plan_mode": "plan" });
    let chat = world.rest().post("/api/v1/chats", &body).await?.expect(201)?;
    let id = id_of(&chat)?;
    let shown = settled(&world, id).await?;
    assert_eq!(
        shown.last().map(String::as_str),
        Some("tool: [tool-result ask_user_question]"),
        "{shown:?}"
    );
    assert_eq!(world.fake().completions().len(), 2);
    let answers = parts(&world, id, "tool").await?;
    assert_eq!(answers.last().map(|part| &part["result"]), Some(&asked));

    let plan = format!(".tandem/plans/PLAN-{id}.md");
    world.fake().script(
        Script::turn([
            Reply::call("write_file", json!({ "path": "notes.md", "content": "x" }))
                .tool_call("write_file", json!({ "path": plan, "content": "# Plan\n" })),
            Reply::call("propose_plan", json!({})),
            Reply::text("This must not be asked for either."),
        ])
        .when_user_says("Files, please"),
    );
    world.send(id, "Files, please").await?;
    settled(&world, id).await?;
    assert_eq!(world.fake().completions().len(), 4);
    let answers = parts(&world, id, "tool").await?;
    let [.., outside, written, proposed] = answers.as_slice() else {
        panic!("three results expected: {answers:?}");
    };
    assert_eq!(
        (&outside["is_error"], &written["result"]["ok"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(proposed["result"]["kind"], "plan", "{proposed}");
    let said = parts(&world, id, "assistant").await?;
    let file = said
        .iter()
        .rfind(|part| part["type"] == "file")
        .cloned()
        .unwrap_or_default();
    assert_eq!(
        (&file["file_id"], &file["media_type"]),
        (&proposed["result"]["file_id"], &json!("text/markdown"))
    );
    world.fake().check_no_rejections()
}
