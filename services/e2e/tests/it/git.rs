//! Repositories in chats: seen live by readers, named in the chat, asked about at forges; and credentials that go to git alone.

mod site;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use site::{Answer, Asked, Site};
use tandem_e2e::{
    fake_llm::{Reply, Script},
    world::{Stream, World, id_of},
};

use crate::tools::{last_request, results, workspace_directory};
use crate::{LIMIT, Result, settled};

/// A commit by nobody in particular.
const COMMIT: &str = "git -c user.name=x -c user.email=x@example.com commit --quiet --all --message=x";

/// A chat whose workspace runs.
async fn chat(world: &World) -> Result<(String, String)> {
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?.to_owned();
    settled(world, &id).await?;
    let directory = workspace_directory(world, &id, "Where are we?").await?;
    Ok((id, directory))
}

/// Has the model call these tools one after another; the results.
async fn work(world: &World, id: &str, question: &str, calls: Vec<Reply>) -> Result<Vec<Value>> {
    let count = calls.len();
    let replies = calls.into_iter().chain([Reply::text("Done.")]);
    world.fake().script(Script::turn(replies).when_user_says(question));
    world.send(id, question).await?;
    settled(world, id).await?;
    let results = results(&last_request(world));
    Ok(results[results.len() - count..].to_vec())
}

fn run(command: &str) -> Reply {
    Reply::call("execute", json!({ "command": command, "timeout": "50s" }))
}

async fn watch(world: &World, id: &str) -> Result<Stream> {
    let path = format!("/api/v1/chats/{id}/stream/git");
    Stream::open(world.rest().base(), &path, world.rest().token()).await
}

/// What the reader knows of a repository by now.
fn known<'a>(events: &'a [Value], root: &str) -> Option<&'a Value> {
    let repositories = events
        .iter()
        .rev()
        .filter_map(|event| event["repositories"].as_array())
        .flatten();
    repositories.into_iter().find(|found| found["repo_root"] == root)
}

fn diff<'a>(events: &'a [Value], root: &str) -> &'a str {
    known(events, root)
        .and_then(|found| found["unified_diff"].as_str())
        .unwrap_or_default()
}

#[tokio::test]
async fn readers_see_what_a_chat_changes_in_its_clone_until_it_is_committed() -> Result {
    let world = World::start().await?;
    let (id, home) = chat(&world).await?;
    let reader = watch(&world, &id).await?;
    let first = reader.wait_until(LIMIT, |events| !events.is_empty()).await?;
    assert_eq!(
        (&first[0]["type"], &first[0]["repositories"]),
        (&json!("changes"), &json!([]))
    );

    let root = format!("{home}/work");
    let make = format!(
        "git init --quiet --initial-branch=main source && cd source && echo one > a.txt && git add . && {COMMIT}"
    );
    let calls = vec![
        run(&make),
        run("git clone --quiet source work && cd work && git checkout --quiet -b fix/door"),
        Reply::call(
            "write_file",
            json!({ "path": format!("{root}/a.txt"), "content": "two\n" }),
        ),
        Reply::call(
            "write_file",
            json!({ "path": format!("{root}/new.txt"), "content": "three\n" }),
        ),
    ];
    for result in work(&world, &id, "Fix the door", calls).await? {
        assert!(result["exit_code"] == 0 || result["ok"] == true, "{result}");
    }
    let events = reader
        .wait_until(LIMIT, |events| diff(events, &root).contains("+three"))
        .await?;
    let found = known(&events, &root).unwrap();
    assert_eq!(
        (&found["branch"], &found["remote_origin"]),
        (&json!("fix/door"), &json!(format!("{home}/source")))
    );
    assert!(diff(&events, &root).contains("-one\n+two\n"), "{found}");

    // Whoever comes later sees the same at once.
    let second = watch(&world, &id).await?;
    let events = second.wait_until(LIMIT, |events| !events.is_empty()).await?;
    assert!(diff(&events, &root).contains("+three"));

    let shown = world.rest().get(&format!("/api/v1/chats/{id}")).await?.expect(200)?;
    assert_eq!(shown["diff_status"]["git_branch"], "fix/door", "{shown}");
    let listed = world.rest().get("/api/v1/chats").await?.expect(200)?;
    assert_eq!(listed[0]["diff_status"]["git_branch"], "fix/door", "{listed}");

    let commit = format!("cd work && git add . && {COMMIT}");
    work(&world, &id, "Commit it", vec![run(&commit)]).await?;
    for reader in [&reader, &second] {
        reader
            .wait_until(LIMIT, |events| {
                known(events, &root).is_some() && diff(events, &root).is_empty()
            })
            .await?;
    }
    work(&world, &id, "Remove it", vec![run("rm -rf work/.git")]).await?;
    reader
        .wait_until(LIMIT, |events| {
            known(events, &root).is_some_and(|found| found["removed"] == true)
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_reader_may_ask_for_a_look_and_for_nothing_else() -> Result {
    let world = World::start().await?;
    let (id, home) = chat(&world).await?;
    let root = format!("{home}/work");
    work(
        &world,
        &id,
        "Begin",
        vec![run("git init --quiet work"), run("cd work && echo 1 > a")],
    )
    .await?;
    let reader = watch(&world, &id).await?;
    reader
        .wait_until(LIMIT, |events| diff(events, &root).contains("+1"))
        .await?;
    for text in [r#"{"type":"dance"}"#, "no json", r#"{"type":"refresh"}"#] {
        reader.say(text);
    }
    let is_error = |event: &&Value| event["type"] == "error";
    let events = reader
        .wait_until(LIMIT, |events| events.iter().filter(is_error).count() == 2)
        .await?;
    assert!(events.iter().filter(is_error).all(|event| event["message"].is_string()));
    assert_eq!(reader.ended(), None);
    Ok(())
}

#[tokio::test]
async fn who_cannot_watch_is_told_why_before_the_upgrade() -> Result {
    let world = World::start().await?;
    let chat = world.create_chat("Hello").await?;
    let id = id_of(&chat)?;
    settled(&world, id).await?;
    let refused = watch(&world, id)
        .await
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(
        refused.contains("400") && refused.contains("has no workspace"),
        "{refused}"
    );
    let stranger = world.create_user("grace").await?;
    let path = format!("/api/v1/chats/{id}/stream/git");
    let refused = Stream::open(world.rest().base(), &path, stranger.rest.token()).await;
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("404"), "{refused}");
    Ok(())
}

/// A host of repositories behind a password; asks for one as long as none is given.
async fn host(token: &'static str) -> Result<Site> {
    Site::open(move |asked: &Asked| {
        let expected = format!("Basic {}", STANDARD.encode(format!("ada:{token}")));
        if asked.headers.get("authorization") != Some(&expected) {
            return Answer::of(401, "who?").with("www-authenticate", "Basic realm=\"git\"");
        }
        match asked.path.split('?').next() {
            Some("/a/b/info/refs") => {
                let refs = "1111111111111111111111111111111111111111\trefs/heads/main\n";
                Answer::of(200, refs).with("content-type", "text/plain")
            }
            Some("/a/b/HEAD") => Answer::of(200, "ref: refs/heads/main\n").with("content-type", "text/plain"),
            _ => Answer::of(404, "no"),
        }
    })
    .await
}

#[tokio::test]
async fn a_token_goes_to_git_for_its_host_and_nowhere_else() -> Result {
    const TOKEN: &str = "t0ken-of-ada-for-git";
    let world = World::start().await?;
    let (own, other) = (host(TOKEN).await?, host(TOKEN).await?);
    let path = format!("/api/v1/users/me/git-credentials/{}", own.address);
    let stored = world
        .rest()
        .put(&path, &json!({ "username": "ada", "token": TOKEN }))
        .await?
        .expect(200)?;
    assert_eq!(
        (&stored["host"], &stored["username"], &stored["token"]),
        (&json!(own.address), &json!("ada"), &Value::Null)
    );
    let (id, _) = chat(&world).await?;

    let list = |site: &Site| run(&format!("git ls-remote http://{}/a/b 2>&1", site.address));
    // A program that only says it is git's.
    let pretend = format!(
        "\"$GIT_ASKPASS\" \"Password for 'http://ada@{}': \"; echo \"code $?\"",
        own.address
    );
    let direct = format!(
        "python3 -c 'import os,socket; s=socket.socket(socket.AF_UNIX); s.connect(os.environ[\"TANDEM_ASKPASS\"]); \
         s.sendall(b\"Password for '\"'\"'http://ada@{}'\"'\"': \\n\"); print(\"got\", s.recv(99))' 2>&1; true",
        own.address
    );
    let results = work(
        &world,
        &id,
        "Look",
        vec![list(&own), list(&other), run(&pretend), run(&direct)],
    )
    .await?;
    let output = |number: usize| results[number]["output"].as_str().unwrap_or_default();
    assert!(output(0).contains("refs/heads/main"), "{}", results[0]);
    assert!(!output(1).contains("refs/heads/main"), "{}", results[1]);
    assert!(output(2).contains("code 1"), "{}", results[2]);
    assert_eq!(output(3).trim(), "got b''", "{}", results[3]);
    assert!(
        other
            .asked()
            .iter()
            .all(|asked| !asked.headers.contains_key("authorization"))
    );

    // Nothing of it is left: not in the environment of later tools, not in files, not in what was said.
    let look = format!("env; grep -ra '{}' \"$HOME\" /tmp 2>/dev/null; true", &TOKEN[..12]);
    let results = work(&world, &id, "Search", vec![run(&look)]).await?;
    assert!(
        !results[0]["output"].as_str().unwrap_or_default().contains(TOKEN),
        "{}",
        results[0]
    );
    let told = serde_json::to_string(&world.messages(&id).await?)?;
    assert!(!told.contains(TOKEN));
    for request in world.fake().completions() {
        assert!(!format!("{request:?}").contains(TOKEN));
    }
    assert!(!world.logs().contains(TOKEN));

    // Taken back, it is given no more.
    world.rest().delete(&path).await?.expect(204)?;
    let results = work(&world, &id, "Again", vec![list(&own)]).await?;
    assert!(
        !results[0]["output"]
            .as_str()
            .unwrap_or_default()
            .contains("refs/heads/main"),
        "{}",
        results[0]
    );
    Ok(())
}

/// A forge that speaks both ways, with one pull request for the branch `fix`.
fn forge(asked: &Asked) -> Answer {
    let is_known = asked
        .headers
        .get("authorization")
        .is_some_and(|value| value == "Bearer t0ken");
    if !is_known {
        return Answer::of(401, "{}");
    }
    let json = |value: Value| Answer::of(200, value.to_string()).with("content-type", "application/json");
    let wants_diff = asked.headers.get("accept").is_some_and(|value| value.contains("diff"));
    match asked.path.split('?').next().unwrap_or_default() {
        "/github/repos/a/b/pulls" if asked.path.contains("head=a%3Afix") => {
            json(json!([{ "number": 6, "state": "closed" }, { "number": 7, "state": "open" }]))
        }
        "/github/repos/a/b/pulls/7" if wants_diff => Answer::of(200, "diff --git a/x b/x\n"),
        "/github/repos/a/b/pulls/7" => json(json!({
            "number": 7, "html_url": "https://forge.example.com/a/b/pull/7", "state": "open", "title": "Fix the door",
            "draft": false, "merged": false, "additions": 3, "deletions": 1, "changed_files": 2, "commits": 1,
            "user": { "login": "ada", "avatar_url": "https://forge.example.com/ada.png" },
            "base": { "ref": "main" }, "head": { "ref": "fix" },
        })),
        "/github/repos/a/b/pulls/7/reviews" => json(json!([{ "user": { "login": "grace" }, "state": "APPROVED" }])),
        "/gitlab/projects/a%2Fb/merge_requests" if asked.path.contains("source_branch=fix") => {
            json(json!([{ "iid": 9, "state": "merged" }]))
        }
        "/gitlab/projects/a%2Fb/merge_requests/9" => json(json!({
            "iid": 9, "web_url": "https://forge.example.com/a/b/-/merge_requests/9", "state": "merged", "title": "Fix the gate",
            "draft": false, "author": { "username": "ada", "avatar_url": null }, "source_branch": "fix",
            "target_branch": "main", "changes_count": "1", "reviewers": [{}],
        })),
        "/gitlab/projects/a%2Fb/merge_requests/9/approvals" => json(json!({ "approved": true, "approved_by": [{}] })),
        "/gitlab/projects/a%2Fb/merge_requests/9/diffs" => {
            json(json!([{ "old_path": "y", "new_path": "y", "diff": "@@ -1 +1 @@\n-1\n+2\n" }]))
        }
        _ => Answer::of(404, "{}"),
    }
}

/// A world that knows the site as a forge of this kind.
async fn world_with(site: &Site, kind: &str) -> Result<World> {
    let forges = format!(
        "[{{ host = \"{0}\", kind = \"{kind}\", api_url = \"http://{0}/{kind}\" }}]",
        site.address
    );
    World::builder()
        .env("TANDEM_TOOL_RUNNER__GIT__FORGES", forges)
        .start()
        .await
}

/// The chat once its pull request is known.
async fn with_pull_request(world: &World, id: &str) -> Result<Value> {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let shown = world.chat(id).await?;
        if shown["diff_status"]["pr_number"].is_number() {
            return Ok(shown["diff_status"].clone());
        }
        anyhow::ensure!(
            tokio::time::Instant::now() < deadline,
            "no pull request is known: {shown}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

async fn pull_request_of(kind: &str) -> Result<(Value, Value)> {
    let site = Site::open(forge).await?;
    let world = world_with(&site, kind).await?;
    let (id, _) = chat(&world).await?;
    let path = format!("/api/v1/chats/{id}/diff");
    let none = world.rest().get(&path).await?.expect(200)?;
    assert_eq!(none, json!({ "chat_id": id }));
    let make = format!(
        "git init --quiet --initial-branch=fix work && cd work && git remote add origin http://ada:s3cret@{}/a/b.git",
        site.address
    );
    work(&world, &id, "Begin", vec![run(&make)]).await?;
    let credential = format!("/api/v1/users/me/git-credentials/{}", site.address);
    world
        .rest()
        .put(&credential, &json!({ "token": "t0ken" }))
        .await?
        .expect(200)?;
    // A chat that had no credential is asked for again when somebody wants to know.
    let reader = watch(&world, &id).await?;
    reader.wait_until(LIMIT, |events| !events.is_empty()).await?;
    reader.say(r#"{"type":"refresh"}"#);
    let mut status = with_pull_request(&world, &id).await?;
    let contents = world.rest().get(&path).await?.expect(200)?;
    assert_eq!(contents["remote_origin"], format!("http://{}/a/b.git", site.address));
    for volatile in ["chat_id", "git_remote_origin", "refreshed_at", "stale_at"] {
        status.as_object_mut().and_then(|status| status.remove(volatile));
    }
    Ok((status, contents))
}

#[tokio::test]
async fn a_pull_request_of_a_forge_like_github_is_shown() -> Result {
    let (status, contents) = pull_request_of("github").await?;
    let expected = json!({
        "git_branch": "fix", "url": "https://forge.example.com/a/b/pull/7", "pull_request_state": "open",
        "pull_request_title": "Fix the door", "pull_request_draft": false, "changes_requested": false, "additions": 3,
        "deletions": 1, "changed_files": 2, "author_login": "ada", "author_avatar_url": "https://forge.example.com/ada.png",
        "base_branch": "main", "head_branch": "fix", "pr_number": 7, "commits": 1, "approved": true, "reviewer_count": 1,
    });
    assert_eq!(status, expected);
    assert_eq!(
        (&contents["provider"], &contents["diff"]),
        (&json!("github"), &json!("diff --git a/x b/x\n"))
    );
    assert_eq!(contents["pull_request_url"], "https://forge.example.com/a/b/pull/7");
    Ok(())
}

#[tokio::test]
async fn a_merge_request_of_a_forge_like_gitlab_is_shown() -> Result {
    let (status, contents) = pull_request_of("gitlab").await?;
    let expected = json!({
        "git_branch": "fix", "url": "https://forge.example.com/a/b/-/merge_requests/9", "pull_request_state": "merged",
        "pull_request_title": "Fix the gate", "pull_request_draft": false, "changes_requested": false, "additions": 1,
        "deletions": 1, "changed_files": 1, "author_login": "ada", "base_branch": "main", "head_branch": "fix",
        "pr_number": 9, "approved": true, "reviewer_count": 1,
    });
    assert_eq!(status, expected);
    let diff = "diff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-1\n+2\n";
    assert_eq!(
        (&contents["provider"], &contents["diff"]),
        (&json!("gitlab"), &json!(diff))
    );
    Ok(())
}
