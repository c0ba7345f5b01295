// What the stub knows of approvals: answers whose calls wait for a person, and the route that decides them. MINIMUM=risky: no chat may ask
// for less. POST /stub/elsewhere {chat_id}: whatever comes next was decided on another device already.
import { createHash } from "node:crypto";

const MODES = ["never", "risky", "always"];
const DAY_MS = 86_400_000;
const minimum = process.env.MINIMUM ?? "never";

/** What `chat` asks of its own accord, or the operator where that is more. */
export const modeOf = (wished = "never") => MODES[Math.max(MODES.indexOf(wished), MODES.indexOf(minimum))];

const EDIT = [
  {
    path: "/workspace/Cargo.toml",
    edits: [{ search: '[package]\nname = "greeter"\nversion = "0.4.0"', replace: '[package]\nname = "greeter"\nversion = "0.5.0"' }],
  },
  { path: "/workspace/CHANGELOG.md", edits: [{ search: "# Changes\n", replace: "# Changes\n\n## 0.5.0\n\n- A name is optional.\n" }] },
];

const PUSH = "git add --all \\\n  && git commit --message 'Release 0.5.0' \\\n  && git tag v0.5.0 \\\n  && git push --force-with-lease origin main v0.5.0 2>&1 | tee --append /workspace/target/release-0.5.0/push-to-origin-with-a-rather-long-name.log";

/** Scripted answers, made of the stub's own verbs. */
export function approvalAnswers({ say, callArgs, result, output }) {
  const play = async (turn, words, wanted, end) => {
    await say(turn, words);
    const calls = [];
    for (const { name, args } of wanted) calls.push(await callArgs(turn, name, args));
    turn.message("assistant", [{ type: "text", text: words }, ...calls]);
    const decisions = await turn.approve(calls.map((call, index) => ({ call, ...wanted[index] })));
    for (const [index, call] of calls.entries()) {
      const { decision, reason } = decisions[index];
      if (decision === "decline") {
        result(turn, call, `The user declined this call.${reason ? ` They said: ${reason}` : ""}`, true);
        continue;
      }
      const { prints, gives } = wanted[index];
      if (prints) await output(turn, call, [prints]);
      await turn.sleep(300);
      result(turn, call, gives ?? { success: true, output: prints, exit_code: 0, wall_duration_ms: 640 });
    }
    const declined = decisions.filter(({ decision }) => decision === "decline").length;
    const text = declined === 0 ? end : declined === wanted.length ? "Then I leave it as it is." : "I did what you allowed, and left out the rest.";
    await say(turn, text);
    turn.message("assistant", [{ type: "text", text }]);
  };
  const unknown = "It runs a command that is not known to be harmless";
  return {
    one: (turn) =>
      play(turn, "The build directory is in the way. I remove it.", [{ name: "execute", args: { command: "rm -rf /workspace/target && cargo clean", workdir: "/workspace" }, risk: "unknown", reason: unknown, prints: "     Removed 1482 files, 611.3MiB total\n" }], "The build directory is gone."),
    several: (turn) =>
      play(turn, "Everything is green. I raise the version, push it, and close the ticket.", [
        { name: "edit_files", args: { files: EDIT }, risk: "changes", reason: "It writes to files", gives: { ok: true, files: [{ path: EDIT[0].path, diff: `@@ -1,3 +1,3 @@\n [package]\n name = "greeter"\n-version = "0.4.0"\n+version = "0.5.0"\n` }] } },
        { name: "execute", args: { command: PUSH, workdir: "/workspace", timeout: "2m" }, risk: "unknown", reason: "It runs a command that reaches other machines", prints: " * [new tag]         v0.5.0 -> v0.5.0\n" },
        { name: "tracker__close_issue", args: { model_intent: "Closing the ticket about the optional name", properties: { number: 412, comment: "Released with 0.5.0", state: "closed" } }, risk: "unknown", reason: "It calls a tool of the MCP server tracker", gives: JSON.stringify({ number: 412, state: "closed" }) },
      ], "Version 0.5.0 is out."),
    unseen: (turn) => play(turn, "One harmless command.", [{ name: "execute", args: { command: "echo done \u202e# \u2066rm -rf ~" }, risk: "unknown", reason: unknown, prints: "done\n" }], "Done."),
  };
}

/** `find(id)` gives a chat, `publish(chat, event)` and `setStatus(chat, status)` tell its readers. */
export function approvals({ find, publish, setStatus, Problem }) {
  /** Resolves with a decision for each call, in their order, once a person has decided; at once where nothing is asked. */
  const ask = (chat, wanted, signal) => {
    const mode = modeOf(chat.row.approval_mode);
    const isAsked = ({ risk }) => mode === "always" || (mode === "risky" && risk === "unknown");
    const asked = wanted.filter(isAsked);
    const free = { decision: "approve" };
    if (asked.length === 0) return wanted.map(() => free);
    return new Promise((resolve, reject) => {
      const over = () => {
        chat.pending = null;
        delete chat.row.action_expires_at;
      };
      chat.pending = asked.map(({ call, name, args, risk, reason }) => ({ tool_call_id: call.tool_call_id, tool_name: name, args: JSON.stringify(args), approval: { digest: createHash("sha256").update(JSON.stringify([name, args])).digest("hex"), risk, reason } }));
      chat.row.action_expires_at = new Date(Date.now() + DAY_MS).toISOString();
      chat.decide = (decisions) => {
        over();
        setStatus(chat, "pending");
        setStatus(chat, "running");
        resolve(wanted.map(({ call }) => decisions.find(({ tool_call_id: id }) => id === call.tool_call_id) ?? free));
      };
      signal.addEventListener("abort", () => {
        over();
        reject(new Error("interrupted"));
      });
      setStatus(chat, "requires_action");
      publish(chat, waitOf(chat));
    });
  };
  const routes = [
    ["POST", "/stub/elsewhere", ({ body }) => void (find(body.chat_id).isElsewhere = true)],
    ["POST", "/chats/:id/approvals", ({ id, body }) => {
      const chat = find(id);
      if (chat.isElsewhere) setTimeout(() => chat.decide(chat.pending.map(({ tool_call_id: one }) => ({ tool_call_id: one, decision: "approve" }))));
      if (chat.isElsewhere || !chat.pending) throw new Problem(409, "Nothing waits for approval in this chat.");
      const given = body.decisions.map(({ tool_call_id: one, digest }) => `${one} ${digest}`).toSorted().join();
      const asked = chat.pending.map((call) => `${call.tool_call_id} ${call.approval.digest}`).toSorted().join();
      if (given !== asked) throw new Problem(409, "Something else waits for approval now.", "APPROVAL_CHANGED");
      chat.decisions = body.decisions;
      setTimeout(() => chat.decide(body.decisions), 100);
      return { ...chat.row, status: "pending" };
    }],
  ];
  return { ask, routes, refuse: (mode) => refuse(mode, Problem) };
}

/** The event that tells what waits. */
export const waitOf = (chat) => ({ type: "action_required", action_required: { tool_calls: chat.pending } });

function refuse(mode, Problem) {
  if (mode === undefined || modeOf(mode) === mode) return;
  const detail = `The operator of this server has chats ask before ${minimum === "risky" ? "risky calls" : "every change"}.`;
  throw Object.assign(new Problem(400, "Validation failed.", detail), { more: { validations: [{ field: "approval_mode", detail }] } });
}
