//! Where a secret could come to light: what people read, what is stored, and what processes hold.

use std::{
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use anyhow::{Context as _, ensure};
use tandem_e2e::world::World;

/// Memory read at once.
const PIECE_BYTES: usize = 1 << 20;
/// Mappings beyond this are address space, not memory.
const MAX_MAPPING_BYTES: u64 = 1 << 30;

/// Everything an administrator can read without naming anything.
const PAGES: [&str; 20] = [
    "/metrics",
    "/readyz",
    "/api/v1/ai/providers",
    "/api/v2/ai/providers",
    "/api/v1/ai/providers/health",
    "/api/v1/chats",
    "/api/v1/chats/models",
    "/api/v1/chats/model-configs",
    "/api/v1/chats/usage-limits",
    "/api/v1/chats/usage-limits/status",
    "/api/v1/chats/cost/me/summary",
    "/api/v1/chats/cost/users",
    "/api/v1/mcp/servers",
    "/api/v2/users",
    "/api/v2/users/me",
    "/api/v2/users/me/ai-provider-keys",
    "/api/v2/ai-gateway/interceptions",
    "/api/v2/ai-gateway/sessions",
    "/api/v2/ai-gateway/models",
    "/api/v2/ai-gateway/clients",
];

/// The bodies of all of them, in one text, and of each chat's messages.
///
/// # Errors
/// When one is not answered.
pub async fn pages(world: &World) -> anyhow::Result<String> {
    let mut all = String::new();
    for path in PAGES {
        let answer = world.rest().get(path).await?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text);
        all.push_str(&answer.text);
        all.push_str(&format!("{:?}", answer.headers));
    }
    let chats = world.rest().get("/api/v1/chats?limit=200").await?.expect(200)?;
    for id in chats
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|chat| chat["id"].as_str())
    {
        for path in [
            format!("/api/v1/chats/{id}"),
            format!("/api/v1/chats/{id}/messages?limit=200"),
        ] {
            all.push_str(&world.rest().get(&path).await?.text);
        }
    }
    Ok(all)
}

/// The whole database as text, as `pg_dump` writes it.
///
/// # Errors
/// When it cannot be dumped.
pub async fn dump(world: &World) -> anyhow::Result<String> {
    let sockets = world.sql("SHOW unix_socket_directories").await?;
    let output = tokio::process::Command::new("pg_dump")
        .args(["--host", sockets.trim(), "--username", "tandem", "tandem"])
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "pg_dump: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How often `marker` stands in what a process holds: the memory it may write to, its environment and its command line. What it shares with
/// others only if `with_shared`.
///
/// # Errors
/// When the process is gone or cannot be read.
pub fn held(process: u32, marker: &str, with_shared: bool) -> anyhow::Result<usize> {
    let mut copy = tempfile::NamedTempFile::new()?;
    let directory = format!("/proc/{process}");
    for name in ["environ", "cmdline"] {
        copy.write_all(&std::fs::read(format!("{directory}/{name}"))?)?;
    }
    let maps = std::fs::read_to_string(format!("{directory}/maps"))?;
    let mut memory = std::fs::File::open(format!("{directory}/mem"))?;
    let (mut read, zeros) = (0, vec![0; PIECE_BYTES]);
    for (start, end) in maps.lines().filter_map(|line| writable(line, with_shared)) {
        memory.seek(SeekFrom::Start(start))?;
        let mut left = end - start;
        let mut piece = vec![0; PIECE_BYTES];
        while left > 0 {
            let wanted = usize::try_from(left)?.min(PIECE_BYTES);
            // Some pages are only promised, or belong to a device.
            let Ok(count) = memory.read(&mut piece[..wanted]) else {
                break;
            };
            if count == 0 {
                break;
            }
            // Most of what is promised was never written to.
            if piece[..count] != zeros[..count] {
                copy.write_all(&piece[..count])?;
            }
            read += count;
            left -= count as u64;
        }
    }
    ensure!(read > 1 << 18, "only {read} bytes of process {process} could be read");
    count(copy.path(), marker)
}

fn writable(line: &str, with_shared: bool) -> Option<(u64, u64)> {
    let mut fields = line.split_whitespace();
    let (range, flags) = (fields.next()?, fields.next()?);
    let (start, end) = range.split_once('-')?;
    let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
    let is_wanted = flags.starts_with("rw") && (with_shared || !flags.ends_with('s'));
    (is_wanted && end - start <= MAX_MAPPING_BYTES).then_some((start, end))
}

fn count(file: &Path, marker: &str) -> anyhow::Result<usize> {
    // A copy of memory is long, and tests are not optimised.
    let found = std::process::Command::new("grep")
        .env("LC_ALL", "C")
        .args(["-a", "-o", "-F", "-e", marker])
        .arg(file)
        .output()?;
    ensure!(
        found.status.code().is_some_and(|code| code < 2),
        "grep: {}",
        String::from_utf8_lossy(&found.stderr)
    );
    Ok(found.stdout.iter().filter(|byte| **byte == b'\n').count())
}

/// The processes of a world's PostgreSQL.
///
/// # Errors
/// When there are none.
pub fn database_processes(world: &World) -> anyhow::Result<Vec<u32>> {
    let data = world.data().canonicalize()?;
    let all = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let process = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let directory = std::fs::read_link(entry.path().join("cwd")).ok()?;
        let command = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
        (directory.starts_with(&data) && command.contains("postgres")).then_some(process)
    });
    let all: Vec<u32> = all.collect();
    all.first().context("no database runs")?;
    Ok(all)
}
