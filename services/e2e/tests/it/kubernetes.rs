//! Workspaces that are pods, where a pod is a process of this machine: an API server of our own keeps what tool-runner asks for, and whoever
//! plays its node starts the pod's command with the pod's environment.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use base64::Engine as _;
use serde_json::{Value, json};
use tandem_e2e::world::{World, free_address, id_of};
use tokio::process::{Child, Command};

use crate::fake_kubernetes::Fake;
use crate::workspaces::{connected, create, gone, run, template, wait_for};
use crate::{Result, settled};

/// Runs pods: what is made is started, what is to go is ended.
struct Node {
    fake: Fake,
    directory: tempfile::TempDir,
    processes: HashMap<String, Child>,
}

impl Node {
    /// Runs until the future is dropped; the processes end with it.
    async fn keep(mut self) -> Result {
        let mut changes = self.fake.changes();
        loop {
            let pods = self.fake.all("pods");
            let is_known = |name: &String| pods.iter().any(|pod| pod["metadata"]["name"] == name.as_str());
            // What is dropped is killed.
            self.processes.retain(|name, _| is_known(name));
            for pod in pods {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                let is_leaving = !pod["metadata"]["deletionTimestamp"].is_null();
                match self.processes.get_mut(&name) {
                    Some(process) if is_leaving => {
                        process.kill().await?;
                        self.processes.remove(&name);
                        self.fake.strike(&name);
                    }
                    None if is_leaving => self.fake.strike(&name),
                    None => {
                        let process = self.start(&pod)?;
                        self.processes.insert(name.clone(), process);
                        self.fake.set_status(&name, json!({ "phase": "Running" }));
                    }
                    Some(_) => {}
                }
            }
            changes.changed().await?;
        }
    }

    /// The pod's command, with paths of its container moved below this node's directory.
    fn start(&self, pod: &Value) -> Result<Child> {
        let container = &pod["spec"]["containers"][0];
        let words = container["command"].as_array().cloned().unwrap_or_default();
        let mut words = words.iter().filter_map(Value::as_str);
        anyhow::ensure!(words.next() == Some("tandem"), "{container}");
        let claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"].as_str();
        let home = self.home(claim.context("no claim")?);
        std::fs::create_dir_all(&home)?;
        let mounted = container["volumeMounts"][0]["mountPath"].as_str().context("no mount")?;
        let words = words.map(|word| {
            if word == mounted {
                home.display().to_string()
            } else {
                word.to_owned()
            }
        });
        let mut command = Command::new(program()?);
        command.args(words).env_clear().current_dir(&home).kill_on_drop(true);
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().context("no name")?;
            command.env(name, self.value(variable)?);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    fn value(&self, variable: &Value) -> Result<String> {
        if let Some(value) = variable["value"].as_str() {
            return Ok(value.to_owned());
        }
        let wanted = &variable["valueFrom"]["secretKeyRef"];
        let secrets = self.fake.all("secrets");
        let secret = secrets
            .iter()
            .find(|secret| secret["metadata"]["name"] == wanted["name"]);
        let key = wanted["key"].as_str().context("no key")?;
        let encoded = secret.context("no secret")?["data"][key].as_str().context("no value")?;
        Ok(String::from_utf8(
            base64::engine::general_purpose::STANDARD.decode(encoded)?,
        )?)
    }

    fn home(&self, claim: &str) -> PathBuf {
        self.directory.path().join(claim)
    }
}

fn program() -> Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let beside = tests.parent().and_then(Path::parent).context("no target directory")?;
    Ok(std::env::var_os("TANDEM_BIN").map_or_else(|| beside.join("tandem"), Into::into))
}

/// A world with a cluster.
async fn with_cluster(fake: &Fake, directory: &Path) -> Result<World> {
    let listen = free_address()?;
    let kubeconfig = directory.join("kubeconfig");
    fake.write_kubeconfig(&kubeconfig);
    World::builder()
        .env("TANDEM_TOOL_RUNNER__AGENT__LISTEN", format!("http://{listen}"))
        .env("TANDEM_TOOL_RUNNER__KUBERNETES__ENABLED", "true")
        .env(
            "TANDEM_TOOL_RUNNER__KUBERNETES__KUBECONFIG",
            kubeconfig.display().to_string(),
        )
        .start()
        .await
}

#[tokio::test]
async fn a_pod_is_made_worked_in_stopped_started_lost_and_deleted() -> Result {
    let fake = Fake::start().await;
    fake.use_kubelet();
    let directory = tempfile::tempdir()?;
    let world = with_cluster(&fake, directory.path()).await?;
    let node = Node {
        fake: fake.clone(),
        directory: tempfile::tempdir()?,
        processes: HashMap::new(),
    };
    let work = work(&world, &fake);
    tokio::select! {
        done = work => done,
        fallen = node.keep() => fallen.context("the node fell"),
    }
}

async fn work(world: &World, fake: &Fake) -> Result {
    let rest = world.rest();
    let spec = json!({
        "backend": "kubernetes",
        "kubernetes": { "image": "shell:1", "memory": "1Gi", "home_size": "1Gi" },
        "environment": { "COLOUR": "blue" },
        "startup_script": "echo up >> starts",
    });
    let pod = template(world, "pod", spec).await?;
    let id = create(rest, &json!({ "template_id": pod, "name": "mine" })).await?;
    let up = wait_for(rest, &id, "running").await?;
    assert_eq!(up["agent"]["status"], "connected", "{up}");
    assert_eq!(up["latest_build"]["startup"], "succeeded", "{up}");
    let builds = format!("/api/v1/workspaces/{id}/builds");
    let token = format!("tandem_agent_{id}");
    let shown = rest.get(&builds).await?.expect(200)?.to_string();
    assert!(
        shown.contains("The agent is connected.") && !shown.contains(&token),
        "{shown}"
    );
    assert!(
        !fake.all("pods")[0].to_string().contains(&token),
        "the token is in no pod's spec"
    );
    let tokens = format!("/api/v1/workspaces/{id}/agent-token");
    rest.post(&tokens, &json!({})).await?.expect(409)?;

    let chat = world.create_chat("Hello").await?;
    let chat = id_of(&chat)?;
    settled(world, chat).await?;
    let bind = json!({ "workspace_id": id });
    rest.patch(&format!("/api/v1/chats/{chat}"), &bind).await?.expect(204)?;
    let shown = run(
        world,
        chat,
        "Which?",
        "cat starts; echo $COLOUR; env | grep -c AGENT_TOKEN",
    )
    .await?;
    assert_eq!(shown["output"], "up\nblue\n0\n", "{shown}");

    let act = async |what: &str, status: &str| {
        rest.post(&format!("/api/v1/workspaces/{id}/{what}"), &json!({}))
            .await?
            .expect(202)?;
        wait_for(rest, &id, status).await
    };
    act("stop", "stopped").await?;
    assert_eq!((fake.all("pods").len(), fake.all("secrets").len()), (0, 0));
    act("start", "running").await?;
    let shown = run(world, chat, "Again?", "cat starts").await?;
    assert_eq!(shown["output"], "up\nup\n", "its home is the same: {shown}");

    // Its node is lost, with all that ran there.
    let name = format!("tandem-{id}");
    fake.strike(&name);
    connected(world, &id, false).await?;
    let told = run(world, chat, "And now?", "true").await?.to_string();
    assert!(told.contains("stop_workspace, then start_workspace"), "{told}");
    act("stop", "stopped").await?;
    fake.allow_pods(0);
    let failed = act("start", "failed").await?;
    assert!(failed.to_string().contains("exceeded quota"), "{failed}");
    rest.delete(&format!("/api/v1/workspaces/{id}")).await?.expect(202)?;
    gone(rest, &id).await?;
    for kind in ["pods", "secrets", "persistentvolumeclaims"] {
        assert_eq!(fake.all(kind), Vec::<Value>::new());
    }
    Ok(())
}
