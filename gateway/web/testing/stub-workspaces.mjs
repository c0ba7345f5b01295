// What the stub knows of workspaces: answers that plan, ask and use templates and skills, and the repositories a chat works in.
import { randomUUID } from "node:crypto";

const PLAN = `# Accept no name

1. \`greeting\` takes an \`Option<&str>\`.
2. \`main\` passes what was given, or nothing.
3. Two tests: with a name, and without.

Nothing else changes; the README is brought up to date at the end.
`;

/** The plan's file, as the stub keeps files. */
export const PLAN_FILE = { id: "5f1c9a2e-7b8d-4c1f-9a63-2f0d4f6f7a10", type: "text/markdown", name: "PLAN.md", raw: Buffer.from(PLAN) };

const QUESTIONS = [
  { header: "Database", question: "Which database shall it use?", options: [{ label: "PostgreSQL", description: "Needs a server, and is what the others use." }, { label: "SQLite", description: "A file beside the program." }] },
  { header: "Port", question: "On which port shall it listen?", options: [{ label: "8080", description: "" }, { label: "7080", description: "As the rest of the house." }] },
];

const PATCH = `diff --git a/src/greet.rs b/src/greet.rs
index 1f0c2ab..9d1e4c0 100644
--- a/src/greet.rs
+++ b/src/greet.rs
@@ -3,4 +3,5 @@ use std::env;
-fn greeting(name: &str) -> String {
-    format!("Hello, {}!", name)
+/// A greeting for \`name\`, or for the world.
+fn greeting(name: Option<&str>) -> String {
+    format!("Hello, {}!", name.unwrap_or("world"))
 }
 
diff --git a/tests/greet.rs b/tests/greet.rs
new file mode 100644
--- /dev/null
+++ b/tests/greet.rs
@@ -0,0 +1,4 @@
+#[test]
+fn the_world_is_greeted_when_nobody_is() {
+    assert_eq!(greeting(None), "Hello, world!");
+}
diff --git a/docs/hello.md b/docs/greeting.md
similarity index 100%
rename from docs/hello.md
rename to docs/greeting.md
`;

/** The first frame of a chat's repositories. */
export const changes = () => ({
  type: "changes",
  scanned_at: new Date().toISOString(),
  repositories: [
    { repo_root: "/workspace/greeter", branch: "no-name", remote_origin: "https://git.example.com/tools/greeter.git", unified_diff: PATCH },
    { repo_root: "/workspace/notes", branch: "main", remote_origin: "", unified_diff: "" },
  ],
});

/** What a chat says of its branch, and is told of its workspace. */
export const PLACE = {
  diff_status: { git_branch: "no-name", git_remote_origin: "https://git.example.com/tools/greeter.git", url: "https://git.example.com/tools/greeter/pull/12", pull_request_state: "open", pull_request_title: "A greeting for nobody", pull_request_draft: false, changes_requested: true, additions: 7, deletions: 2, changed_files: 3, base_branch: "main", pr_number: 12 },
  last_injected_context: [
    { type: "context-file", context_file_path: "/workspace/greeter/AGENTS.md", context_file_agent_id: "b3b8a2a0-8f43-4f7e-8d5f-3f9a7f6f1c11" },
    { type: "context-file", context_file_path: "/workspace/greeter/docs/style.md", context_file_truncated: true, context_file_agent_id: null },
    { type: "skill", skill_name: "release", skill_description: "How a release is made here" },
  ],
};

/** Scripted answers, made of the stub's own verbs. */
export function workspaceAnswers({ say, callArgs, result }) {
  const one = async (turn, words, name, args, value) => {
    await say(turn, words);
    const call = await callArgs(turn, name, args);
    turn.message("assistant", [{ type: "text", text: words }, call]);
    await turn.sleep(300);
    result(turn, call, value);
  };
  return {
    plan: (turn) =>
      one(turn, "I have looked around. This is how I would do it.", "propose_plan", { path: "/home/agent/.coder/plans/PLAN-1.md" }, { ok: true, path: "/home/agent/.coder/plans/PLAN-1.md", kind: "plan", file_id: PLAN_FILE.id, media_type: "text/markdown" }),
    question: (turn) => one(turn, "Two things I cannot know.", "ask_user_question", { questions: QUESTIONS }, { questions: QUESTIONS }),
    templates: async (turn) => {
      await one(turn, "I look for a place to work in.", "list_templates", { query: "rust" }, {
        templates: [
          { id: randomUUID(), name: "rust", display_name: "Rust", description: "Debian with Rust, PostgreSQL and Node.js", active_developers: 4 },
          { id: randomUUID(), name: "local", display_name: "This machine", description: "A directory of its own, shut in" },
        ],
        count: 2, page: 1, total_pages: 1, total_count: 2,
      });
      await one(turn, "The first one fits.", "create_workspace", { template_id: randomUUID(), name: "greeter" }, { created: true, workspace_name: "admin/greeter", build_id: randomUUID() });
      await one(turn, "There is a skill for releases.", "read_skill", { name: "release" }, { name: "release", body: "# Releases\n\n1. Run `make test`.\n2. Tag, and push the tag.", files: ["checklist.md", "scripts/"], dir: "/workspace/greeter/.agents/skills/release" });
      const text = "The workspace **greeter** is ready, and I know how releases are made there.";
      await say(turn, text);
      turn.message("assistant", [{ type: "text", text }]);
    },
  };
}

const ago = (minutes) => new Date(Date.now() - minutes * 60_000).toISOString();

/** The routes of workspaces, templates and personal skills. The workspace of chats is `first`. */
export function workspaces({ first, me, Problem, isAdministrator }) {
  const spec = (more = {}) => ({ backend: "local", environment: {}, startup_script: "", startup_timeout_ms: 0, default_ttl_ms: 0, parameters: [], presets: [], ...more });
  const template = (name, more) => ({ id: randomUUID(), name, display_name: "", description: "", readme: "", icon: "", deprecated: false, built_in: false, active_version_number: 1, active_developers: 0, created_at: ago(9_000), updated_at: ago(900), spec: spec(), ...more });
  const size = { name: "size", type: "string", required: true, mutable: true, display_name: "Size", description: "", default: "small", options: [{ name: "Small", value: "small", description: "2 GiB" }, { name: "Large", value: "large", description: "16 GiB" }] };
  const branch = { name: "branch", type: "string", required: true, mutable: false, display_name: "Branch", description: "Checked out at the start", options: [] };
  const templates = [
    template("rust", { display_name: "Rust", description: "Debian with Rust, PostgreSQL and Node.js", active_version_number: 7, active_developers: 4, spec: spec({ startup_script: "git clone --branch $branch https://git.example.com/greeter", environment: { CARGO_TERM_COLOR: "always" }, default_ttl_ms: 14_400_000, parameters: [size, branch], presets: [{ id: randomUUID(), name: "Main", description: "Small, on main", default: true, parameters: { branch: "main" } }] }) }),
    template("local", { display_name: "This machine", description: "A directory of its own, shut in", built_in: true, active_developers: 9 }),
    template("own-host", { display_name: "A host of yours", description: "Runs where you start the agent", spec: spec({ backend: "external" }) }),
  ];
  const built = (transition, status, more) => ({ id: randomUUID(), number: 1, transition, status, reason: "user", created_at: ago(30), ...more });
  const builds = new Map();
  const make = (name, from, status, agent, more = {}) => {
    const workspace = { id: randomUUID(), name, owner_id: me.id, owner_username: me.username, organization_id: me.organization_ids[0], template_id: from.id, template_name: from.name, template_version_id: randomUUID(), backend: from.spec.backend, status, parameters: {}, ttl_ms: from.spec.default_ttl_ms, agent: { status: agent }, created_at: ago(4_000), last_used_at: ago(12), ...more };
    builds.set(workspace.id, [built("start", status === "failed" ? "failed" : "succeeded", { startup: "succeeded", log: "Cloning into 'greeter'...\nremote: Enumerating objects: 412, done.\n" })]);
    return workspace;
  };
  let all = process.env.WORKSPACES
    ? [
        make("greeter", templates[0], "running", "connected", { id: first, parameters: { branch: "main", size: "small" }, stops_at: new Date(Date.now() + 14_000_000).toISOString() }),
        make("notes", templates[1], "stopped", "none"),
        make("laptop", templates[2], "running", "disconnected", { agent: { status: "disconnected", has_token: true, disconnected_at: ago(40) } }),
        make("broken", templates[0], "failed", "none", { status_message: "The startup script ended with 128: fatal: Remote branch mian not found." }),
      ]
    : [];
  if (all[0]) builds.set(all[0].id, builds.get(all[3].id).map((build) => ({ ...build, status: "succeeded" })));
  const skills = new Map(process.env.WORKSPACES ? [["release-notes", { name: "release-notes", description: "How release notes are written here", body: "# Release notes\n\nOne line for each change, the reader first.", created_at: ago(900), updated_at: ago(80) }]] : []);
  const named = process.env.WORKSPACES
    ? [
        { name: "database", transport: "stdio", shown: "npx -y @example/database-mcp --read-only", digest: "a".repeat(64), state: "awaiting_approval", approved: false, approved_shown: "npx -y @example/database-mcp", estimated_tokens: 0 },
        { name: "preview", transport: "http", shown: "http://127.0.0.1:4000/mcp", digest: "b".repeat(64), state: "failed", error: "nobody listens there", approved: true, estimated_tokens: 0 },
      ]
    : [];
  let credentials = process.env.WORKSPACES ? [{ host: "git.example.com", username: "", updated_at: ago(3_000) }] : [];
  const find = (id) => {
    const found = all.find((workspace) => workspace.id === id);
    if (!found) throw new Problem(404, "Workspace not found.");
    return found;
  };
  const move = (workspace, transition, via, to, agent) => {
    workspace.status = via;
    builds.get(workspace.id).unshift(built(transition, "running", { number: builds.get(workspace.id).length + 1, created_at: new Date().toISOString(), log: "" }));
    setTimeout(() => {
      Object.assign(workspace, { status: to, agent: { ...workspace.agent, status: agent } });
      delete workspace.status_message;
      builds.get(workspace.id)[0].status = "succeeded";
      if (to === "deleted") all = all.filter((one) => one !== workspace);
    }, 1_500);
    return workspace;
  };
  const administrators = () => {
    if (!isAdministrator) throw new Problem(403, "Only administrators change templates.");
  };
  return [
    ["GET", "/workspaces", () => ({ workspaces: all, count: all.length })],
    ["POST", "/workspaces", ({ body }) => {
      const from = templates.find(({ id }) => id === body.template_id);
      const name = body.name ?? `${from.name}-1a2b`;
      if (all.some((workspace) => workspace.name === name)) throw new Problem(409, "You have a workspace of that name already.");
      const workspace = make(name, from, "starting", "none", { parameters: body.parameters });
      builds.set(workspace.id, []);
      all.unshift(workspace);
      return move(workspace, "start", "starting", "running", from.spec.backend === "external" ? "connecting" : "connected");
    }],
    ["GET", "/workspaces/:id", ({ id }) => find(id)],
    ["PATCH", "/workspaces/:id", ({ id, body }) => Object.assign(find(id), body)],
    ["DELETE", "/workspaces/:id", ({ id }) => move(find(id), "delete", "deleting", "deleted", "none")],
    ["POST", "/workspaces/:id/start", ({ id }) => move(find(id), "start", "starting", "running", "connected")],
    ["POST", "/workspaces/:id/stop", ({ id }) => move(find(id), "stop", "stopping", "stopped", "none")],
    ["GET", "/workspaces/:id/builds", ({ id }) => builds.get(find(id).id)],
    ["POST", "/workspaces/:id/agent-token", ({ id }) => {
      find(id).agent.has_token = true;
      return { token: "tdw_stub", url: "https://tandem.example:7081", command: "tandem agent --url https://tandem.example:7081 --token tdw_stub" };
    }],
    ["GET", "/workspaces/:id/confinement", () => ({ mechanisms: [
      { name: "landlock", enforced: true, detail: "Nothing outside the workspace can be opened." },
      { name: "user", enforced: true, detail: "Processes have a user of their own." },
      { name: "network", enforced: false, detail: "Programs reach the network: install iproute2 and run as root to close it." },
    ] })],
    ["GET", "/templates", () => ({ templates, count: templates.length })],
    ["POST", "/templates", ({ body }) => {
      administrators();
      const made = template(body.name, body);
      templates.push(made);
      return made;
    }],
    ["PATCH", "/templates/:id", ({ id, body }) => {
      administrators();
      const found = templates.find((one) => one.id === id);
      if (body.spec) found.active_version_number += 1;
      return Object.assign(found, body);
    }],
    ["DELETE", "/templates/:id", ({ id }) => {
      administrators();
      templates.splice(templates.findIndex((one) => one.id === id), 1);
    }],
    ["GET", "/mcp/workspaces/:id/servers", ({ id }) => (id === first ? { running: true, servers: named, tools: named.filter(({ state }) => state === "connected").map(({ name }) => ({ server_name: name, name: `${name}__query`, description: "", input_schema: {} })) } : { running: false, servers: [], tools: [] })],
    ["POST", "/mcp/workspaces/:id/servers/:other/approve", ({ other }) => {
      Object.assign(named.find(({ digest }) => digest === other), { approved: true, state: "connected", approved_shown: undefined, estimated_tokens: 210 });
      return { running: true, servers: named, tools: [] };
    }],
    ["DELETE", "/mcp/workspaces/:id/servers/:other", ({ other }) => void Object.assign(named.find(({ digest }) => digest === other), { approved: false, state: "awaiting_approval" })],
    ["GET", "/users/me/git-credentials", () => credentials],
    ["PUT", "/users/me/git-credentials/:id", ({ id, body }) => {
      const made = { host: decodeURIComponent(id), username: body.username, updated_at: ago(0) };
      credentials = [...credentials.filter(({ host }) => host !== made.host), made];
      return made;
    }],
    ["DELETE", "/users/me/git-credentials/:id", ({ id }) => void (credentials = credentials.filter(({ host }) => host !== decodeURIComponent(id)))],
    ["GET", "/users/me/skills", () => [...skills.values()].map(({ body: _, ...summary }) => summary)],
    ["POST", "/users/me/skills", ({ body }) => {
      if (skills.has(body.name)) throw new Problem(409, "You have a skill of that name already.");
      skills.set(body.name, { ...body, created_at: ago(0), updated_at: ago(0) });
      return skills.get(body.name);
    }],
    ["GET", "/users/me/skills/:id", ({ id }) => skills.get(id)],
    ["PUT", "/users/me/skills/:id", ({ id, body }) => Object.assign(skills.get(id), body, { updated_at: ago(0) })],
    ["DELETE", "/users/me/skills/:id", ({ id }) => void skills.delete(id)],
  ];
}
