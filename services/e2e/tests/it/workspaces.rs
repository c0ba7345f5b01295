//! Workspaces as people manage them by REST, as models make them, and as agents on users' own hosts serve them.

use std::convert::Infallible;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tandem_e2e::{
    chaos_proxy::{ChaosProxy, Ending},
    fake_llm::{Reply, Script},
    world::{Rest, Service, World, free_address, id_of},
};
use tokio::process::{Child, Command};

use crate::{
    LIMIT, Result, settled,
    tools::{last_request, results},
};

/// The id of the template `local`.
async fn local(world: &World) -> Result<String> {
    let listed = world.rest().get("/api/v1/templates").await?.expect(200)?;
    let templates = listed["templates"].as_array().cloned().unwrap_or_default();
    let local = templates.iter().find(|template| template["built_in"] == true);
    Ok(id_of(local.context("no built-in template")?)?.to_owned())
}

pub async fn template(world: &World, name: &str, spec: Value) -> Result<String> {
    let body = json!({ "name": name, "spec": spec });
    let made = world.rest().post("/api/v1/templates", &body).await?.expect(201)?;
    Ok(id_of(&made)?.to_owned())
}

pub async fn create(rest: &Rest, body: &Value) -> Result<String> {
    let made = rest.post("/api/v1/workspaces", body).await?.expect(201)?;
    Ok(id_of(&made)?.to_owned())
}

/// Waits until a workspace has that status.
pub async fn wait_for(rest: &Rest, id: &str, status: &str) -> Result<Value> {
    wait_until(rest, id, |workspace| workspace["status"] == status).await
}

async fn wait_until(rest: &Rest, id: &str, met: impl Fn(&Value) -> bool) -> Result<Value> {
    let path = format!("/api/v1/workspaces/{id}");
    let mut last = Value::Null;
    let waiting = async {
        loop {
            let answer = rest.get(&path).await?;
            // A service that was just started again may not be reached yet.
            if answer.status != 503 {
                last = answer.expect(200)?;
                if met(&last) {
                    return Ok(last.clone());
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited: std::result::Result<Result<Value>, _> = tokio::time::timeout(LIMIT, waiting).await;
    match waited {
        Ok(found) => found,
        Err(_) => anyhow::bail!("the workspace does not get there: {last}"),
    }
}

/// Waits until a workspace is no more.
pub async fn gone(rest: &Rest, id: &str) -> Result {
    let path = format!("/api/v1/workspaces/{id}");
    let going = async {
        while rest.get(&path).await?.expect(404).is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Result::Ok(())
    };
    tokio::time::timeout(LIMIT, going).await?
}

/// The result of one command of a chat's.
pub async fn run(world: &World, chat: &str, question: &str, command: &str) -> Result<Value> {
    let call = Reply::call("execute", json!({ "command": command, "timeout": "1m" }));
    let script = Script::turn([call, Reply::text("Done.")]).when_user_says(question);
    world.fake().script(script);
    world.send(chat, question).await?;
    settled(world, chat).await?;
    let mut results = results(&last_request(world));
    results.pop().context("no result")
}

#[tokio::test]
async fn a_workspace_is_made_worked_in_stopped_started_and_deleted() -> Result {
    let world = World::start().await?;
    let rest = world.rest();
    let spec = json!({
        "backend": "local",
        "environment": { "COLOUR": "blue" },
        "startup_script": "echo begun; echo $TANDEM_PARAMETER_REPO > repo",
        "parameters": [{ "name": "repo", "type": "string", "required": true, "mutable": true }],
    });
    let rust = template(&world, "rust", spec).await?;
    let without = rest.post("/api/v1/workspaces", &json!({ "template_id": rust })).await?;
    let without = without.expect(400)?;
    assert!(without.to_string().contains("parameters.repo"), "{without}");
    let body = json!({ "template_id": rust, "name": "mine", "parameters": { "repo": "tandem" } });
    let id = create(rest, &body).await?;
    let up = wait_for(rest, &id, "running").await?;
    assert_eq!(up["agent"]["status"], "connected", "{up}");
    assert_eq!(up["latest_build"]["startup"], "succeeded", "{up}");
    let builds = rest
        .get(&format!("/api/v1/workspaces/{id}/builds"))
        .await?
        .expect(200)?;
    assert!(
        builds[0]["log"].as_str().unwrap_or_default().contains("begun\n"),
        "{builds}"
    );

    let chat = world.create_chat("Hello").await?;
    let chat = id_of(&chat)?;
    settled(&world, chat).await?;
    let bind = json!({ "workspace_id": id });
    rest.patch(&format!("/api/v1/chats/{chat}"), &bind).await?.expect(204)?;
    let shown = run(&world, chat, "Which?", "cat repo; echo $COLOUR").await?;
    assert_eq!(shown["output"], "tandem\nblue\n", "{shown}");

    rest.post(&format!("/api/v1/workspaces/{id}/stop"), &json!({}))
        .await?
        .expect(202)?;
    let down = wait_for(rest, &id, "stopped").await?;
    assert_eq!(down["agent"]["status"], "none", "{down}");
    let told = run(&world, chat, "And now?", "cat repo").await?;
    assert!(told.to_string().contains("start_workspace"), "{told}");
    let start = json!({ "parameters": { "repo": "other" } });
    rest.post(&format!("/api/v1/workspaces/{id}/start"), &start)
        .await?
        .expect(202)?;
    wait_for(rest, &id, "running").await?;
    let shown = run(&world, chat, "Again?", "cat repo").await?;
    assert_eq!(shown["output"], "other\n", "{shown}");

    let home = world.data().join("workspaces").join(&id);
    assert!(home.exists());
    rest.delete(&format!("/api/v1/workspaces/{id}")).await?.expect(202)?;
    gone(rest, &id).await?;
    assert!(!home.exists());
    Ok(())
}

#[tokio::test]
async fn a_model_finds_a_template_makes_a_workspace_of_it_and_stops_it() -> Result {
    let world = World::start().await?;
    let spec = json!({ "backend": "local", "startup_script": "echo ready > state" });
    let rust = template(&world, "rust", spec).await?;
    let turn = [
        Reply::call("list_templates", json!({ "query": "rus" })),
        Reply::call("read_template", json!({ "template_id": rust })),
        Reply::call(
            "create_workspace",
            json!({ "template_id": rust, "name": "Fix the bug" }),
        ),
        Reply::call("execute", json!({ "command": "cat state" })),
        Reply::call("stop_workspace", json!({})),
        Reply::text("Done."),
    ];
    world.fake().script(Script::turn(turn));
    let chat = world.create_chat("Make one").await?;
    let chat = id_of(&chat)?;
    settled(&world, chat).await?;
    let results = results(&last_request(&world));
    assert_eq!(results[0]["templates"][0]["id"], rust.as_str(), "{}", results[0]);
    assert_eq!(results[0]["total_count"], 1, "{}", results[0]);
    assert_eq!(results[1]["template"]["name"], "rust", "{}", results[1]);
    assert_eq!(results[2]["created"], true, "{}", results[2]);
    let name = results[2]["workspace_name"].as_str().unwrap_or_default();
    assert!(name.contains("/fix-the-bug-"), "{name}");
    assert_eq!(results[3]["output"], "ready\n", "{}", results[3]);
    assert_eq!(results[4]["stopped"], true, "{}", results[4]);
    let listed = world
        .rest()
        .get("/api/v1/workspaces?q=owner:me%20status:stopped")
        .await?
        .expect(200)?;
    assert_eq!(listed["count"], 1, "{listed}");
    let shown = world.chat(chat).await?;
    assert_eq!(
        shown["workspace_id"], listed["workspaces"][0]["id"],
        "the chat is bound to it"
    );
    Ok(())
}

#[tokio::test]
async fn a_quota_is_told_with_its_numbers_to_people_and_models() -> Result {
    let world = World::start().await?;
    let limits = json!({ "max_running_workspaces": 1, "chats_get_workspaces": false });
    let path = "/api/v1/chats/config/workspace-limits";
    world.rest().put(path, &limits).await?.expect(204)?;
    assert_eq!(world.rest().get(path).await?.expect(200)?, limits);
    let rust = template(&world, "rust", json!({ "backend": "local" })).await?;
    let body = json!({ "template_id": rust });
    let first = create(world.rest(), &body).await?;
    wait_for(world.rest(), &first, "running").await?;
    let refused = world.rest().post("/api/v1/workspaces", &body).await?.expect(409)?;
    assert!(refused.to_string().contains("1 may run at once"), "{refused}");

    let turn = [
        Reply::call("execute", json!({ "command": "true" })),
        Reply::call("create_workspace", body),
        Reply::text("Done."),
    ];
    world.fake().script(Script::turn(turn));
    let chat = world.create_chat("Make one").await?;
    settled(&world, id_of(&chat)?).await?;
    let results = results(&last_request(&world));
    assert!(results[0].to_string().contains("create_workspace"), "{}", results[0]);
    assert_eq!(results[1]["error_code"], "INSUFFICIENT_QUOTA", "{}", results[1]);
    assert_eq!(
        results[1]["quota"],
        json!({ "credits_consumed": 1, "budget": 1 }),
        "{}",
        results[1]
    );
    Ok(())
}

/// Makes it a minute since workspaces were used, over and over: a use that is still being recorded must not undo it.
async fn leave_alone(world: &World) -> Result<Infallible> {
    loop {
        let statement = "UPDATE workspaces SET last_used_at = now() - interval '61 seconds' WHERE status = 'running'";
        world.sql(statement).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn an_idle_workspace_is_stopped_and_starts_again_with_the_version_its_template_requires() -> Result {
    let world = World::builder().database().start().await?;
    let rest = world.rest();
    let ttl = json!({ "workspace_ttl_ms": 60_000 });
    rest.put("/api/v1/chats/config/workspace-ttl", &ttl)
        .await?
        .expect(204)?;
    let version = |number: &str| json!({ "backend": "local", "startup_script": format!("echo {number} >> versions") });
    let rust = template(&world, "rust", version("one")).await?;
    let path = format!("/api/v1/templates/{rust}");
    let required = rest
        .patch(&path, &json!({ "require_active_version": true }))
        .await?
        .expect(200)?;
    assert_eq!(required["require_active_version"], true, "{required}");
    let turn = [
        Reply::call("create_workspace", json!({ "template_id": rust })),
        Reply::text("Done."),
    ];
    world.fake().script(Script::turn(turn));
    let chat = world.create_chat("Make one").await?;
    let chat = id_of(&chat)?.to_owned();
    settled(&world, &chat).await?;
    let shown = world.chat(&chat).await?;
    let id = shown["workspace_id"].as_str().context("no workspace")?.to_owned();
    let up = wait_for(rest, &id, "running").await?;
    assert!(up["ttl_ms"] == 60_000 && up["stops_at"].is_string(), "{up}");
    rest.patch(&path, &json!({ "spec": version("two") }))
        .await?
        .expect(200)?;

    let down = tokio::select! {
        down = wait_for(rest, &id, "stopped") => down?,
        never = leave_alone(&world) => match never? {},
    };
    assert_eq!(down["latest_build"]["reason"], "idle", "{down}");
    assert_eq!(down["agent"]["status"], "none", "{down}");

    let turn = [
        Reply::call("execute", json!({ "command": "cat versions" })),
        Reply::call("start_workspace", json!({})),
        Reply::call("execute", json!({ "command": "cat versions" })),
        Reply::text("Done."),
    ];
    world.fake().script(Script::turn(turn).when_user_says("And now?"));
    world.send(&chat, "And now?").await?;
    settled(&world, &chat).await?;
    let results = results(&last_request(&world));
    let [.., told, started, shown] = results.as_slice() else {
        anyhow::bail!("too few results: {results:?}");
    };
    assert!(told.to_string().contains("start_workspace"), "{told}");
    assert_eq!(started["started"], true, "{started}");
    assert_eq!(started["updated_to_active_version"], true, "{started}");
    assert_eq!(shown["output"], "one\ntwo\n", "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_start_that_lost_its_runner_is_run_again() -> Result {
    let mut world = World::builder().separate_processes().start().await?;
    let script = "echo x >> starts; test -e again || { touch again; sleep 60; }";
    let slow = template(&world, "slow", json!({ "backend": "local", "startup_script": script })).await?;
    let id = create(world.rest(), &json!({ "template_id": slow })).await?;
    let home = world.data().join("workspaces").join(&id);
    let begun = async {
        while !home.join("again").exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, begun).await?;
    world.kill9_service(Service::ToolRunner).await?;
    world.restart().await?;
    let up = wait_for(world.rest(), &id, "running").await?;
    assert_eq!(up["latest_build"]["startup"], "succeeded", "{up}");
    assert_eq!(up["latest_build"]["number"], 1, "the same build: {up}");
    assert_eq!(std::fs::read_to_string(home.join("starts"))?, "x\nx\n");
    Ok(())
}

/// `tandem agent` on this machine; it ends with this value.
struct Host {
    directory: tempfile::TempDir,
    process: Child,
}

impl Host {
    fn start(url: &str, token: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let tests = std::env::current_exe()?;
        let beside = tests
            .parent()
            .and_then(|deps| deps.parent())
            .context("no target directory")?;
        let program = std::env::var_os("TANDEM_BIN").map_or_else(|| beside.join("tandem"), Into::into);
        let process = Command::new(program)
            .args(["agent", "--url", url, "--dir"])
            .arg(directory.path())
            .env("TANDEM_AGENT_TOKEN", token)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { directory, process })
    }
}

/// A world with a listener for hosts, a workspace on one, and a chat in it.
async fn with_host() -> Result<(World, ChaosProxy, String, String, String)> {
    let listen = free_address()?;
    let world = World::builder()
        .env("TANDEM_TOOL_RUNNER__AGENT__LISTEN", format!("http://{listen}"))
        .start()
        .await?;
    let proxy = ChaosProxy::start(listen.parse()?).await?;
    let host = template(&world, "host", json!({ "backend": "external" })).await?;
    let id = create(world.rest(), &json!({ "template_id": host })).await?;
    let up = wait_for(world.rest(), &id, "running").await?;
    assert_eq!(up["agent"]["status"], "connecting", "{up}");
    let token = token(&world, &id).await?;
    let chat = world.create_chat("Hello").await?;
    let chat = id_of(&chat)?.to_owned();
    settled(&world, &chat).await?;
    let bind = json!({ "workspace_id": id });
    world
        .rest()
        .patch(&format!("/api/v1/chats/{chat}"), &bind)
        .await?
        .expect(204)?;
    Ok((world, proxy, id, token, chat))
}

async fn token(world: &World, workspace: &str) -> Result<String> {
    let path = format!("/api/v1/workspaces/{workspace}/agent-token");
    let issued = world.rest().post(&path, &json!({})).await?.expect(201)?;
    let token = issued["token"].as_str().unwrap_or_default().to_owned();
    let command = issued["command"].as_str().unwrap_or_default();
    assert!(
        command.starts_with("tandem agent --url http://") && command.ends_with(&token),
        "{command}"
    );
    Ok(token)
}

pub async fn connected(world: &World, id: &str, is_connected: bool) -> Result<Value> {
    wait_until(world.rest(), id, |workspace| {
        (workspace["agent"]["status"] == "connected") == is_connected
    })
    .await
}

#[tokio::test]
async fn a_command_on_a_users_host_goes_on_when_its_network_is_cut() -> Result {
    let (world, proxy, id, token, chat) = with_host().await?;
    let told = run(&world, &chat, "Is it there?", "true").await?;
    assert!(told.to_string().contains("has not connected yet"), "{told}");
    let host = Host::start(&format!("http://{}", proxy.address()), &token)?;
    connected(&world, &id, true).await?;
    let cut = async {
        let mark = host.directory.path().join("begun");
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        proxy.refuse();
        proxy.end_all(Ending::Reset);
        connected(&world, &id, false).await?;
        proxy.heal();
        std::fs::write(host.directory.path().join("go"), "")?;
        Result::Ok(())
    };
    let command = "echo x >> begun; while ! test -e go; do sleep 0.1; done; echo through; pwd";
    let (shown, cut) = tokio::join!(run(&world, &chat, "Long one", command), cut);
    cut?;
    let shown = shown?;
    let home = host.directory.path().canonicalize()?;
    assert_eq!(shown["output"], format!("through\n{}\n", home.display()), "{shown}");
    assert_eq!(std::fs::read_to_string(home.join("begun"))?, "x\n", "it ran once");
    Ok(())
}

#[tokio::test]
async fn a_new_token_sends_the_old_agent_away() -> Result {
    let (world, proxy, id, old, chat) = with_host().await?;
    let url = format!("http://{}", proxy.address());
    let mut first = Host::start(&url, &old)?;
    connected(&world, &id, true).await?;
    let new = token(&world, &id).await?;
    connected(&world, &id, false).await?;
    let second = Host::start(&url, &new)?;
    connected(&world, &id, true).await?;
    let shown = run(&world, &chat, "Where?", "pwd").await?;
    let home = second.directory.path().canonicalize()?;
    assert_eq!(shown["output"], format!("{}\n", home.display()), "{shown}");
    assert!(
        first.process.try_wait()?.is_none(),
        "it keeps asking: the workspace may be given back to it"
    );
    let builtin = local(&world).await?;
    let other = create(world.rest(), &json!({ "template_id": builtin })).await?;
    let path = format!("/api/v1/workspaces/{other}/agent-token");
    world.rest().post(&path, &json!({})).await?.expect(409)?;
    Ok(())
}

#[tokio::test]
async fn templates_are_administrators_to_write_and_workspaces_their_owners_to_see() -> Result {
    let world = World::start().await?;
    let mia = world.create_user("mia").await?;
    let rust = template(&world, "rust", json!({ "backend": "local" })).await?;
    let body = json!({ "name": "mine", "spec": { "backend": "local" } });
    mia.rest.post("/api/v1/templates", &body).await?.expect(403)?;
    mia.rest.get(&format!("/api/v1/templates/{rust}")).await?.expect(200)?;
    let admins = create(world.rest(), &json!({ "template_id": rust })).await?;
    mia.rest
        .get(&format!("/api/v1/workspaces/{admins}"))
        .await?
        .expect(404)?;
    mia.rest
        .post(&format!("/api/v1/workspaces/{admins}/stop"), &json!({}))
        .await?
        .expect(404)?;
    let mias = create(&mia.rest, &json!({ "template_id": rust })).await?;
    world
        .rest()
        .get(&format!("/api/v1/workspaces/{mias}"))
        .await?
        .expect(200)?;
    let confined = mia
        .rest
        .get(&format!("/api/v1/workspaces/{mias}/confinement"))
        .await?
        .expect(200)?;
    assert!(
        confined["mechanisms"].as_array().is_some_and(|all| !all.is_empty()),
        "{confined}"
    );
    let pod = json!({ "name": "pod", "spec": { "backend": "kubernetes" } });
    let refused = world.rest().post("/api/v1/templates", &pod).await?.expect(400)?;
    assert!(refused.to_string().contains("spec.kubernetes.image"), "{refused}");
    mia.rest
        .get("/api/v1/chats/config/template-allowlist")
        .await?
        .expect(404)?;
    let allowed = json!({ "template_ids": [rust] });
    let path = "/api/v1/chats/config/template-allowlist";
    world.rest().put(path, &allowed).await?.expect(204)?;
    assert_eq!(world.rest().get(path).await?.expect(200)?, allowed);
    let path = "/api/v1/chats/config/workspace-ttl";
    world
        .rest()
        .put(path, &json!({ "workspace_ttl_ms": 5 }))
        .await?
        .expect(400)?;
    world
        .rest()
        .put(path, &json!({ "workspace_ttl_ms": 60_000 }))
        .await?
        .expect(204)?;
    assert_eq!(mia.rest.get(path).await?.expect(200)?["workspace_ttl_ms"], 60_000);
    Ok(())
}
