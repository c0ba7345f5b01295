//! A chat in a repository of very many files: how long until a reader of its changes is told, and what the workspace holds for that.

use std::{
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use super::{
    Bench,
    figures::{Figure, tell},
    model::{Mark, Pace, Work},
    process::Family,
    tools::home,
    worker::Worker,
};
use crate::world::{Stream, World};

/// Files of one directory.
const PER_DIRECTORY: usize = 1_000;
/// Making all files and taking them into a commit.
const MAKING: Duration = Duration::from_secs(30 * 60);
/// The longest until a reader is told.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at the memory.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Looks at the repository, the first included, when nothing of it is in the caches of the program.
const CHANGES: usize = 3;
/// How long the workspace is watched while nothing happens: several looks of its own.
const REST: Duration = Duration::from_secs(70);

/// Directories that are made; arguments of a call are a plain function's.
static DIRECTORIES: AtomicUsize = AtomicUsize::new(0);

/// Makes the repository in a workspace, watches it, and changes a file now and then.
///
/// # Errors
/// When a call fails or a reader is told nothing.
pub async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let directories = bench.options.files.div_ceil(PER_DIRECTORY).max(1);
    let files = directories * PER_DIRECTORY;
    DIRECTORIES.store(directories, Ordering::Relaxed);
    let (world, model) = bench.another_world(World::builder().all_in_one()).await?;
    model.set_pace(Pace::INSTANT);
    let user = world.admin();
    let mut worker = Worker::create(user, &model, Mark(0)).await?;
    tell(&format!("making a repository of {files} files"));
    model.set_work(Work {
        steps: 1,
        calls: 1,
        arguments: Some(make),
    });
    let begun = Instant::now();
    worker.turn(Mark(1), MAKING).await?;
    let report = &mut bench.report;
    let mut add = |name: &str, value: f64, unit| report.add(Figure::new(name, value, unit).with("files", files));
    add("repository_made", begun.elapsed().as_secs_f64(), "s")?;
    let root = home(&world, &worker).await?.join("many");
    ensure!(root.join(".git/index").exists(), "the repository was not made");
    add("repository_status_bare", seconds(status(&root).await?), "s")?;

    let process = world
        .process_ids()
        .first()
        .copied()
        .context("the product is not running")?;
    let before = Family::of(process)?;
    tell("a reader of its changes");
    let path = format!("/api/v1/chats/{}/stream/git", worker.id());
    let opened = Instant::now();
    let reader = Stream::open(user.rest.base(), &path, user.rest.token()).await?;
    let mut most = before.others_memory();
    let (told, said) = tell_of(&reader, process, &mut most, |found| found.is_some()).await?;
    add("repository_first_told", seconds(told - opened), "s")?;
    tell(&format!("it is told: {said:?}"));
    for change in 0..CHANGES {
        let name = format!("new-{change}");
        let changed = Instant::now();
        model.set_work(Work {
            steps: 1,
            calls: 1,
            arguments: Some(change_one),
        });
        worker.turn(Mark(2 + change as u64), LIMIT).await?;
        // What is told in place of a diff counts too: it says that there is too much to tell.
        let is_shown = |found: Option<&str>| {
            found.is_some_and(|diff| diff.contains(&name) || !(diff.is_empty() || diff.starts_with("diff")))
        };
        let (told, said) = tell_of(&reader, process, &mut most, is_shown).await?;
        tell(&format!("it is told: {said:?}"));
        add("repository_change_told", seconds(told - changed), "s")?;
    }
    add(
        "repository_memory_added",
        most.saturating_sub(before.others_memory()) as f64 / 1024.0,
        "MiB",
    )?;
    tell("nothing happens");
    let (before, started) = (Family::of(process)?, Instant::now());
    tokio::time::sleep(REST).await;
    let used = Family::of(process)?.others_time().saturating_sub(before.others_time());
    add(
        "repository_cpu_while_watched",
        used.as_secs_f64() / started.elapsed().as_secs_f64() * 100.0,
        "% of a core",
    )?;
    drop(reader);
    Ok(())
}

/// Waits until the newest word of the repository is as it should be; when, and what it was. Notes the most memory of the workspace.
async fn tell_of(
    reader: &Stream,
    process: u32,
    most: &mut u64,
    is_told: impl Fn(Option<&str>) -> bool,
) -> anyhow::Result<(Instant, String)> {
    let begun = Instant::now();
    loop {
        let looked = timeout(
            LOOK_INTERVAL,
            reader.wait_until(LIMIT, |events| is_told(newest(events))),
        )
        .await;
        *most = (*most).max(Family::of(process)?.others_memory());
        if let Ok(events) = looked {
            let events = events?;
            let said: String = newest(&events).unwrap_or_default().chars().take(100).collect();
            return Ok((Instant::now(), said));
        }
        if begun.elapsed() > LIMIT {
            bail!("nothing is told of the repository within {LIMIT:?}");
        }
    }
}

/// The newest diff of any repository; empty where nothing differs.
fn newest(events: &[Value]) -> Option<&str> {
    let repositories = events.iter().rev().filter_map(|event| event["repositories"].as_array());
    let newest = repositories.flatten().find(|found| found["repo_root"].is_string())?;
    Some(newest["unified_diff"].as_str().unwrap_or_default())
}

fn make(_: Mark, _: usize) -> Value {
    let last = DIRECTORIES.load(Ordering::Relaxed).saturating_sub(1);
    let files = PER_DIRECTORY - 1;
    let command = format!(
        "set -e; git init --quiet many; cd many; for d in $(seq 0 {last}); do mkdir $d; (cd $d; seq 0 {files} | xargs touch); done; \
         git add .; git -c user.name=x -c user.email=x@example.com commit --quiet --message=x"
    );
    json!({ "command": command, "timeout": "30m" })
}

fn change_one(mark: Mark, _: usize) -> Value {
    json!({ "command": format!("echo new > many/new-{}", mark.0 - 2) })
}

/// What git itself takes to look at everything, by this program.
async fn status(root: &std::path::Path) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "status", "--porcelain"])
        .env("GIT_OPTIONAL_LOCKS", "0")
        .current_dir(root)
        .stdin(Stdio::null());
    let ended = git.output().await.context("git is not there")?;
    ensure!(
        ended.status.success(),
        "git failed: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok(started.elapsed())
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
