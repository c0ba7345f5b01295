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
