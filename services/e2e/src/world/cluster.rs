//! A database's files as the first start of this program leaves them, made once and copied for every world: `initdb` and all migrations
//! would cost each of them a second of two processors.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant, UNIX_EPOCH},
};

use anyhow::{bail, ensure};

use super::process::{Plan, Process};

/// From an empty directory to the newest schema.
const MADE_LIMIT: Duration = Duration::from_secs(60);
/// An orderly end of storage and its server.
const END_LIMIT: Duration = Duration::from_secs(20);
/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(10);
/// What storage says when it has migrated.
const SERVES: &str = "serving service=storage";
/// Where a program keeps its server below its data directory.
const PLACE: &str = "postgres/data";
/// Tells which program made the files.
const MAKER: &str = "made-by";

/// Gives a new data directory the database that `program` would make in it.
pub(super) async fn plant(program: &Path, data: &Path) -> anyhow::Result<()> {
    let model = place(program);
    let lock = File::options()
        .create(true)
        .append(true)
        .open(model.with_extension("lock"))?;
    let maker = maker(program)?;
    lock.lock()?;
    if std::fs::read_to_string(model.join(MAKER)).ok().as_deref() != Some(maker.as_str()) {
        make(program, &model, &maker).await?;
    }
    // Others may copy at the same time; whoever wants to make it anew waits.
    lock.lock_shared()?;
    let home = data.join("postgres");
    std::fs::create_dir(&home)?;
    let source = model.join(PLACE);
    // The files belong to the server's user, which only `cp` keeps.
    let copied = Command::new("cp").arg("-a").args([&source, &home]).status()?;
    ensure!(copied.success(), "could not copy {}", source.display());
    Ok(())
}

/// Where a program's files are kept. Not beside the program: the server's user may not pass the directories above it.
fn place(program: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    program.hash(&mut hasher);
    let user = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("tandem-e2e-cluster-{user}-{:016x}", hasher.finish()))
}

/// What tells one build of a program from the next.
fn maker(program: &Path) -> anyhow::Result<String> {
    let metadata = std::fs::metadata(program)?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH)?;
    Ok(format!(
        "{} {} {}",
        program.display(),
        metadata.len(),
        changed.as_nanos()
    ))
}

/// Storage starts alone in an empty directory, migrates, and ends.
async fn make(program: &Path, model: &Path, maker: &str) -> anyhow::Result<()> {
    if model.exists() {
        std::fs::remove_dir_all(model)?;
    }
    std::fs::create_dir(model)?;
    // Elsewhere, for the limit on the length of a socket's path.
    let elsewhere = tempfile::tempdir()?;
    let socket = elsewhere.path().join("storage.sock");
    let variables = [
        ("TANDEM_DATA_DIR", model.display().to_string()),
        ("TANDEM_SERVICE_SECRET", "0".repeat(64)),
        ("TANDEM_STORAGE__LISTEN", format!("unix:{}", socket.display())),
    ];
    let plan = Plan {
        name: "storage".to_owned(),
        program: program.to_owned(),
        arguments: vec!["storage".to_owned()],
        environment: variables.map(|(name, value)| (name.to_owned(), value)).to_vec(),
    };
    let mut storage = Process::new(plan, elsewhere.path());
    storage.start()?;
    let started = Instant::now();
    while !storage.log().contains(SERVES) {
        storage.check_alive()?;
        if started.elapsed() > MADE_LIMIT {
            bail!("no storage after {MADE_LIMIT:?}\n{}", storage.log_tail());
        }
        tokio::time::sleep(INTERVAL).await;
    }
    let status = storage.terminate(END_LIMIT).await?;
    ensure!(status.success(), "storage ended with {status}\n{}", storage.log_tail());
    std::fs::write(model.join(MAKER), maker)?;
    Ok(())
}
