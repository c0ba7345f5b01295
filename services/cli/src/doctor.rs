//! `tandem doctor`: what this machine offers Tandem. Each finding says what to do.

use std::path::Path;
use std::time::Duration;

use tandem_chassis::tls;
use tandem_storage::postgres::Private;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::listen;
use crate::services::Name;

/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(60);

/// One thing looked at.
struct Finding {
    what: &'static str,
    outcome: Result<String, String>,
}

/// Looks at everything and says what it found. Fails when Tandem would not work here.
#[expect(clippy::print_stdout, reason = "the findings are the command's answer")]
pub(crate) async fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let data = DataDir::locate()?;
    let config = Config::load(file, &data);
    let has_database = config
        .as_ref()
        .is_ok_and(|config| config.storage.database_url.is_some());
    let certificate = config.as_ref().ok().and_then(|config| config.tls.clone());
    let mut findings = vec![Finding {
        what: "configuration",
        outcome: config.map(|_| "read".to_owned()).map_err(|error| format!("{error:#}")),
    }];
    findings.push(Finding {
        what: "data directory",
        outcome: data_directory(&data, has_database).await,
    });
    findings.push(Finding {
        what: "port",
        outcome: port(certificate.as_ref()).await,
    });
    findings.push(Finding {
        what: "database",
        outcome: database(has_database).await,
    });
    findings.push(Finding {
        what: "landlock",
        outcome: landlock(),
    });
    findings.push(Finding {
        what: "bubblewrap",
        outcome: bubblewrap().await,
    });
    findings.push(Finding {
        what: "user separation",
        outcome: separation(),
    });

    let mut is_fit = true;
    for Finding { what, outcome } in &findings {
        match outcome {
            Ok(text) => println!("ok    {what}: {text}"),
            Err(text) => {
                let is_needed = !matches!(*what, "landlock" | "bubblewrap" | "user separation");
                is_fit &= !is_needed;
                println!("{}  {what}: {text}", if is_needed { "FAIL" } else { "weak" });
            }
        }
    }
    if is_fit {
        Ok(())
    } else {
        anyhow::bail!("Tandem will not run here until the failures above are mended")
    }
}

async fn data_directory(data: &DataDir, has_database: bool) -> Result<String, String> {
    let probe = data.path().join(".doctor");
    data.create()
        .and_then(|()| Ok(std::fs::write(&probe, b"")?))
        .and_then(|()| Ok(std::fs::remove_file(&probe)?))
        .map_err(|error| format!("{error:#}; set TANDEM_DATA_DIR to a directory of yours"))?;
    if !has_database {
        Private::check_reachable(data.path())
            .await
            .map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    }
    Ok(format!("{} is writable", data.path().display()))
}

async fn port(certificate: Option<&tls::ServerConfig>) -> Result<String, String> {
    match listen::bind(Name::Gateway, certificate).await {
        Ok(listener) => Ok(format!("{} is free", listener.address())),
        Err(error) => Err(format!("{error:#}; stop what listens there, or set TANDEM_LISTEN")),
    }
}

async fn database(is_given: bool) -> Result<String, String> {
    if is_given {
        return Ok("DATABASE_URL is set; `tandem serve` says at start whether it can be used".to_owned());
    }
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    match tokio::time::timeout(LIMIT, Private::start(directory.path())).await {
        Ok(Ok(server)) => {
            server.stop().await;
            Ok("a private PostgreSQL starts and stops".to_owned())
        }
        Ok(Err(error)) => Err(format!("{:#}", anyhow::Error::from(error))),
        Err(_) => Err("PostgreSQL did not come up within a minute; is the machine overloaded?".to_owned()),
    }
}

fn landlock() -> Result<String, String> {
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let has_entry = modules.split(',').any(|module| module.trim() == "landlock");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').filter_map(|number| number.parse::<u32>().ok());
    let is_new = (numbers.next(), numbers.next()) >= (Some(5), Some(13));
    match (has_entry, is_new) {
        (true, _) => Ok("workspaces see only their own files".to_owned()),
        (false, true) if modules.is_empty() => Ok(format!(
            "kernel {} has it; agents say at start what is enforced",
            release.trim()
        )),
        (false, _) => Err("the kernel does not enforce it; use Linux 5.13 or newer with lsm=landlock".to_owned()),
    }
}

async fn bubblewrap() -> Result<String, String> {
    let probe = tokio::process::Command::new("bwrap")
        .args([
            "--unshare-pid",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "true",
        ])
        .output()
        .await;
    match probe {
        Ok(output) if output.status.success() => Ok("workspaces get processes and mounts of their own".to_owned()),
        Ok(output) => Err(format!(
            "bwrap does not work here: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(_) => Err("bwrap is not installed; apt-get install bubblewrap".to_owned()),
    }
}

fn separation() -> Result<String, String> {
    if rustix::process::getuid().is_root() {
        Ok("each workspace runs as a user of its own".to_owned())
    } else {
        Err(
            "workspaces run as your own user; run Tandem as root, or in a container, to separate them further"
                .to_owned(),
        )
    }
}
