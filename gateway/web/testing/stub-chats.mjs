// The stub's list of chats: what a search finds, and the chats it begins with when SEED=1.
const DAY = 86_400_000;

/** The server's grammar, as far as the stub needs it: key:value terms with quotes around spaces. Throws on words without a key. */
export function readQuery(q) {
  const wanted = { archived: false };
  for (const word of q.match(/(?:"[^"]*"|[^\s"])+/g) ?? []) {
    const at = word.indexOf(":");
    if (at <= 0) throw new Error(`"${word}" has no key; write key:value, with quotes around spaces`);
    const value = word.slice(at + 1).replaceAll('"', "");
    const key = word.slice(0, at).toLowerCase();
    if (key in wanted && key !== "archived") throw new Error(`${key} must be given only once`);
    wanted[key] = ["archived", "has_unread"].includes(key) ? value === "true" : value;
  }
  return wanted;
}

export function matches(row, wanted, labels) {
  if (row.archived !== wanted.archived) return false;
  if ("has_unread" in wanted && row.has_unread !== wanted.has_unread) return false;
  if ("title" in wanted && !row.title.toLowerCase().includes(wanted.title.toLowerCase())) return false;
  return labels.every((label) => {
    const at = label.indexOf(":");
    return row.labels[label.slice(0, at)] === label.slice(at + 1);
  });
}

const ROWS = [
  ["Migrate the billing tables", 0.02, { pin_order: 1, last_turn_summary: "Wrote 3 migrations", labels: { team: "billing", env: "staging" } }],
  ["Why is the build slow?", 0.1, { has_unread: true, last_turn_summary: "Found a cold cache" }],
  ["Upgrade React to 19", 0.2, { status: "error", last_error: { message: "The provider rejected the key.", kind: "auth", provider: "openai", status_code: 401, retryable: false } }],
  ["Write release notes for 0.4", 1.1, { last_turn_summary: "Drafted the notes" }, [["Collect merged changes", { last_turn_summary: "Found 41 changes" }], ["Check the links", { status: "waiting" }]]],
  ["Flaky test in storage::queue", 1.4, { last_turn_summary: "Isolated the race", labels: { team: "storage" } }],
  ["Compare argon2 parameters", 4, { last_turn_summary: "Measured four settings" }],
  ["A plan for the search index", 12, { last_turn_summary: "Proposed two designs" }],
  ["Old experiments with indexes", 40, { archived: true, last_turn_summary: "Abandoned" }, [["Measure btree", { archived: true }]]],
];

/** `create(title, parent)` makes a chat, `say(chat, role, text)` a message in it. */
export function seed(create, say) {
  for (const [title, days, extra, children = []] of ROWS) {
    const at = new Date(Date.now() - days * DAY).toISOString();
    const chat = create(title);
    Object.assign(chat.row, { title, status: "waiting", created_at: at, updated_at: at }, extra);
    say(chat, "user", title);
    say(chat, "assistant", "Done.");
    for (const [name, more] of children) {
      const child = create(name, chat);
      Object.assign(child.row, { title: name, status: "waiting", created_at: at, updated_at: at }, more);
      say(child, "user", name);
      say(child, "assistant", "Done.");
    }
  }
}
