// The scripted answers of the stub server. Each is a function of a turn and plays in real time.
import { randomUUID } from "node:crypto";
import { approvalAnswers } from "./stub-approvals.mjs";
import { DOCS, TRACKER } from "./stub-mcp.mjs";
import { workspaceAnswers } from "./stub-workspaces.mjs";

const now = () => new Date().toISOString();

/** `tries` counts how often the turn has failed. */
export function answers(text, tries = 0) {
  if (/uname/.test(text)) return uname;
  if (/hello\.txt|haiku/i.test(text)) return haiku;
  if (/tracker/i.test(text)) return tracker;
  if (/\bplan it/i.test(text)) return workspaces.plan;
  if (/ask me/i.test(text)) return workspaces.question;
  if (/template/i.test(text)) return workspaces.templates;
  if (/tidy up/i.test(text)) return approvals.one;
  if (/ship it/i.test(text)) return approvals.several;
  if (/unseen/i.test(text)) return approvals.unseen;
  if (/markdown/i.test(text)) return markdown;
  if (/slow/i.test(text)) return slow;
  if (/code/i.test(text)) return code;
  if (/lost/i.test(text)) return lost;
  if (/full/i.test(text)) return full;
  if (/fail/i.test(text)) return tries === 0 ? fail : explain;
  if (/retry/i.test(text)) return retry;
  if (/stand in/i.test(text)) return standIn;
  return explain;
}

async function say(turn, text, ms = 18) {
  for (const piece of text.match(/\S+\s*|\s+/g) ?? []) {
    turn.part({ type: "text", text: piece });
    await turn.sleep(ms);
  }
}

async function think(turn, text) {
  const created_at = now();
  for (const piece of text.match(/\S+\s*/g) ?? []) {
    turn.part({ type: "reasoning", text: piece, created_at });
    await turn.sleep(25);
  }
  return { type: "reasoning", text, created_at, completed_at: now() };
}

async function callArgs(turn, name, args, more) {
  const call = { type: "tool-call", tool_call_id: `call_${randomUUID().slice(0, 8)}`, tool_name: name, ...more };
  const created_at = now();
  const json = JSON.stringify(args);
  for (let at = 0; at < json.length; at += 14) {
    turn.part({ ...call, args_delta: json.slice(at, at + 14), created_at });
    await turn.sleep(20);
  }
  turn.part({ ...call, args, created_at });
  return { ...call, args, created_at };
}

async function output(turn, call, pieces, ms = 220) {
  for (const piece of pieces) {
    await turn.sleep(ms);
    turn.part({ type: "tool-result", tool_call_id: call.tool_call_id, tool_name: call.tool_name, result_delta: piece }, "tool");
  }
}

function result(turn, call, value, isError = false) {
  const part = { type: "tool-result", tool_call_id: call.tool_call_id, tool_name: call.tool_name, result: value, is_error: isError, created_at: now() };
  turn.part(part, "tool");
  turn.message("tool", [part]);
}

async function uname(turn) {
  const reasoning = await think(turn, "The user wants the kernel's description. One command is enough.");
  await say(turn, "I'll run it and read the answer.");
  const call = await callArgs(turn, "execute", { command: "uname -a" });
  turn.message("assistant", [reasoning, { type: "text", text: "I'll run it and read the answer." }, call]);
  const line = "Linux tandem 6.12.38 #1 SMP PREEMPT_DYNAMIC Debian 6.12.38-1 x86_64 GNU/Linux\n";
  await output(turn, call, [line]);
  result(turn, call, { success: true, output: line, exit_code: 0, wall_duration_ms: 231 });
  const answer = "This machine runs **Linux 6.12.38**, Debian's build for 64-bit x86.\n\n- `SMP PREEMPT_DYNAMIC` means it uses several processors and can be preempted at any time.\n- The host is called `tandem`.";
  await say(turn, answer);
  turn.message("assistant", [{ type: "text", text: answer }]);
}

const DIFF = `--- /workspace/src/greet.rs
+++ /workspace/src/greet.rs
@@ -1,9 +1,12 @@
 use std::env;
 
-fn greeting(name: &str) -> String {
-    format!("Hello, {}!", name)
+/// A greeting for \`name\`, or for the world.
+fn greeting(name: Option<&str>) -> String {
+    format!("Hello, {}!", name.unwrap_or("world"))
 }
 
 fn main() {
-    let name = env::args().nth(1).unwrap();
+    let name = env::args().nth(1);
-    println!("{}", greeting(&name));
+    println!("{}", greeting(name.as_deref()));
+    // Exits with 0 whatever was given.
 }
`;

async function haiku(turn) {
  await say(turn, "First the file, then a look at it.");
  const content = "Two wheels, one long road\nhands that never touch, yet turn\nthe same morning light\n";
  const write = await callArgs(turn, "write_file", { path: "/workspace/hello.txt", content });
  const read = await callArgs(turn, "read_file", { path: "/workspace/README.md" });
  turn.message("assistant", [{ type: "text", text: "First the file, then a look at it." }, write, read]);
  await turn.sleep(300);
  result(turn, write, { ok: true });
  result(turn, read, { content: "1\t# Greeter\n2\t\n3\tSays hello.", file_size: 24, lines_read: 3, total_lines: 3 });
  const edit = await callArgs(turn, "edit_files", { files: [{ path: "/workspace/src/greet.rs", edits: [{ search: "name: &str", replace: "name: Option<&str>" }] }] });
  const run = await callArgs(turn, "execute", { command: "cat hello.txt && cargo test --quiet", workdir: "/workspace" });
  turn.message("assistant", [edit, run]);
  await turn.sleep(400);
  result(turn, edit, { ok: true, files: [{ path: "/workspace/src/greet.rs", diff: DIFF }] });
  const lines = [content, "\nrunning 2 tests\n", "\u001b[32m..\u001b[0m\n", "test result: \u001b[32mok\u001b[0m. 2 passed; 0 failed\n"];
  await output(turn, run, lines);
  result(turn, run, { success: true, output: lines.join(""), exit_code: 0, wall_duration_ms: 4_210 });
  const answer = `Here it is:\n\n> Two wheels, one long road\n> hands that never touch, yet turn\n> the same morning light\n\nWhile there, I made \`greeting\` accept no name at all; both tests pass.`;
  await say(turn, answer);
  turn.message("assistant", [{ type: "text", text: answer }]);
}

const MARKDOWN = `## How a turn runs

Every turn has the same five steps, and each survives a crash of any one service.

1. The message is written, together with the new status.
2. A worker **claims** the chat by lease.
3. The prompt goes to the provider; text streams back.
4. Tools run in the workspace, [journalled](https://example.com/journal) by call id.
5. The turn ends, or the next step begins.

| Step | Owner | Takes |
| --- | --- | ---: |
| Claim | orchestrator | 2 ms |
| Complete | provider-gateway | 640 ms |
| Tools | tool-runner | 1.2 s |

\`\`\`rust
pub fn decide(state: &ChatState, command: Command) -> Decision {
    match (state.status, command) {
        (Status::Waiting, Command::Send(message)) => Decision::start(message),
        (status, Command::Send(message)) => Decision::queue(status, message),
        _ => Decision::unchanged(),
    }
}
\`\`\`

- [x] Nothing is lost
- [ ] Nothing is doubled

> A notification carries no authority.

An image from elsewhere stays a link: ![a chart](https://example.com/chart.png).
`;

async function markdown(turn) {
  await say(turn, MARKDOWN, 14);
  turn.message("assistant", [{ type: "text", text: MARKDOWN }]);
}

async function slow(turn) {
  await say(turn, "Starting the long build.");
  const call = await callArgs(turn, "execute", { command: "make release", timeout: "10m" });
  turn.message("assistant", [{ type: "text", text: "Starting the long build." }, call]);
  const lines = Array.from({ length: 80 }, (_, i) => `\u001b[32m   Compiling\u001b[0m crate-${String(i + 1).padStart(2, "0")} v0.${i % 7}.${i % 3}\n`);
  await output(turn, call, lines, 700);
  result(turn, call, { success: true, output: lines.join(""), exit_code: 0, wall_duration_ms: 56_000 });
  await say(turn, "The build is done.");
  turn.message("assistant", [{ type: "text", text: "The build is done." }]);
}

async function fail(turn) {
  await turn.sleep(500);
  throw turn.fail({ message: "Incorrect API key provided.", detail: "invalid_api_key: You can find your API key in your account settings.", kind: "auth", provider: "openai", retryable: false, status_code: 401 });
}

async function retry(turn) {
  await say(turn, "Let me think about");
  for (const [attempt, delay] of [[1, 4_000], [2, 12_000]]) {
    turn.previewReset();
    turn.retry({ attempt, delay_ms: delay, error: "The provider is overloaded.", kind: "overloaded", provider: "anthropic", status_code: 529, retrying_at: new Date(Date.now() + delay).toISOString() });
    await turn.sleep(delay);
  }
  await say(turn, "Third time lucky.");
  turn.message("assistant", [{ type: "text", text: "Third time lucky." }]);
}

/** Another model answers than the one that was asked. */
async function standIn(turn) {
  const text = "I answer in place of a colleague that is overloaded at the moment.";
  await say(turn, text);
  turn.message("assistant", [{ type: "text", text }], { model_config_id: turn.otherModel() });
}

async function explain(turn) {
  const reasoning = await think(turn, "A general question. A short overview with examples will do.");
  const text = "I can work in a **workspace** of this chat:\n\n- run commands and watch their output\n- read, write and edit files, shown as diffs\n- keep long processes going in the background\n\nAsk for something concrete, such as *“Run `uname -a` and tell me what it says”*.";
  await say(turn, text);
  turn.message("assistant", [reasoning, { type: "text", text }]);
}

/** What a server puts in the place of a result that nobody recorded. */
async function lost(turn) {
  await say(turn, "I deploy it, and look at the log meanwhile.");
  const deploy = await callArgs(turn, "execute", { command: "./deploy.sh --production" });
  const read = await callArgs(turn, "read_file", { path: "/workspace/deploy.log" });
  turn.message("assistant", [{ type: "text", text: "I deploy it, and look at the log meanwhile." }, deploy, read]);
  await output(turn, deploy, ["uploading 3 of 5 bundles\n"]);
  const words = "Interrupted by the user before a result was recorded; the outcome is unknown.";
  for (const call of [deploy, read]) result(turn, call, words, true);
  const unmade = await callArgs(turn, "create_ticket", { title: "Deployment" });
  turn.message("assistant", [unmade]);
  result(turn, unmade, { error: "ticket system answered 503" }, true);
}

const SUMMARY = `**Goal.** Make \`greeting\` accept no name.

- \`src/greet.rs\` takes \`Option<&str>\` now; both tests pass.
- The README still has to say so: **that is next**.`;

/** What /compact plays: a call, a while, a result. */
export async function summarize(turn, source = "manual") {
  const call = { type: "tool-call", tool_call_id: `chat_summarized_${randomUUID()}`, tool_name: "chat_summarized", args: { source, threshold_percent: 70 }, created_at: now() };
  turn.part(call);
  await turn.sleep(2_500);
  turn.message("assistant", [call]);
  result(turn, call, { summary: SUMMARY, source, threshold_percent: 70, usage_percent: source === "manual" ? 31 : 74, context_tokens: 94_700, context_limit_tokens: 128_000 });
}

/** The context is full in the middle of a turn. */
async function full(turn) {
  await say(turn, "Reading the rest of the history first.");
  turn.message("assistant", [{ type: "text", text: "Reading the rest of the history first." }]);
  await summarize(turn, "automatic");
  const text = "The README says now that a name is optional.";
  await say(turn, text);
  turn.message("assistant", [{ type: "text", text }]);
}

const CODE = `Three ways to say the same:

\`\`\`python
from dataclasses import dataclass

@dataclass(frozen=True)
class Greeting:
    """Says hello, to the world if to nobody else."""
    name: str | None = None

    def __str__(self) -> str:
        return f"Hello, {self.name or 'world'}!"  # never empty
\`\`\`

\`\`\`typescript
export async function greet(name?: string): Promise<string> {
  const response = await fetch(\`/greet?name=\${encodeURIComponent(name ?? "world")}\`);
  if (!response.ok) throw new Error("no greeting: " + response.status);
  return (await response.json() as { text: string }).text;
}
\`\`\`

And how it is run:

\`\`\`sh
# builds and greets
cargo build --release && ./target/release/greet "$USER" | tee /tmp/out.txt
\`\`\`

\`\`\`json
{ "name": "greet", "version": "0.4.0", "private": true, "retries": 3 }
\`\`\`

\`\`\`sql
SELECT name, count(*) AS greetings FROM log WHERE at > now() - interval '1 day' GROUP BY name;
\`\`\`
`;

async function code(turn) {
  await say(turn, CODE, 10);
  turn.message("assistant", [{ type: "text", text: CODE }]);
}

/** Tools of MCP servers: with the model's own words, without them, and one that fails. */
async function tracker(turn) {
  const of = (id) => ({ mcp_server_config_id: id });
  await say(turn, "I look at what is known about it.");
  const search = await callArgs(turn, "tracker__search_issues", { model_intent: "Looking for open issues about the nightly build, so that nothing is reported twice", properties: { query: "nightly build", state: "open", labels: ["ci", "flaky"] } }, of(TRACKER));
  const page = await callArgs(turn, "handbook__fetchPage", { path: "teams/ci/nightly.md" }, of(DOCS));
  turn.message("assistant", [{ type: "text", text: "I look at what is known about it." }, search, page]);
  await turn.sleep(1_600);
  const issues = [
    { number: 412, title: "Nightly build times out on arm64", state: "open", labels: ["ci"], assignee: { name: "Dana Okafor", team: "build" } },
    { number: 398, title: "Flaky: storage tests need a free port", state: "open", labels: ["ci", "flaky"], assignee: null },
  ];
  result(turn, search, JSON.stringify({ total: 2, issues }));
  result(turn, page, "# The nightly build\n\nRuns at 02:00 UTC. Who breaks it, mends it.");
  const create = await callArgs(turn, "tracker__create_issue", { model_intent: "Reporting the missing lock file", properties: { title: "Nightly build: lock file is missing" } }, of(TRACKER));
  turn.message("assistant", [create]);
  await turn.sleep(600);
  result(turn, create, "You may not open issues in the project CI.", true);
  const text = "Two issues are open, and neither is about the lock file. I was not allowed to open one.";
  await say(turn, text);
  turn.message("assistant", [{ type: "text", text }]);
}

const workspaces = workspaceAnswers({ say, callArgs, result });
const approvals = approvalAnswers({ say, callArgs, result, output });
