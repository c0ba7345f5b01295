// A piece of work as an agent does it, for the scripted model: a workspace of a template with a repository and an MCP server, a
// skill, and what the model says and calls. Tests check that it is shown, and the tour takes its pictures.
import { call, reply, text } from "./fake-llm.mjs";

const GREETER = `def greet(name):
    return f"Hello, {name}!"`;
const TESTS = `import unittest
from greeter import greet


class Greeting(unittest.TestCase):
    def test_a_name(self):
        self.assertEqual(greet("Ada"), "Hello, Ada!")

    def test_nobody(self):
        self.assertEqual(greet(""), "Hello!")


if __name__ == "__main__":
    unittest.main()`;
export const SKILL = {
  name: "bug-fix",
  description: "How bugs are fixed in this team.",
  body: `1. Run the tests first, so that you see the bug.
2. Change as little as you can.
3. Run the tests again and say what they told.`,
};
/** The least that an MCP server over standard input and output must say. */
const TRACKER = `import json, sys

TOOL = {"name": "find_ticket", "description": "Finds a ticket by words of its title.",
        "inputSchema": {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]}}
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m:
        continue
    if m["method"] == "initialize":
        result = {"protocolVersion": m["params"]["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "tracker", "version": "1"}}
    elif m["method"] == "tools/list":
        result = {"tools": [TOOL]}
    elif m["method"] == "tools/call":
        ticket = {"id": 17, "title": "Greeting without a name", "state": "open", "assignee": "ada"}
        result = {"content": [{"type": "text", "text": json.dumps(ticket)}]}
    else:
        result = {}
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": result}), flush=True)`;
const MCP = JSON.stringify({ mcpServers: { tracker: { command: "python3", args: ["tracker.py"] } } });

const file = (path, content) => `mkdir -p "$(dirname ${path})"\ncat > ${path} <<'END_OF_FILE'\n${content}\nEND_OF_FILE`;
/** Makes the repository that is cloned later, and puts the server where Tandem looks for it. */
const STARTUP = [
  "set -e",
  "[ -e greeter.git ] && exit 0",
  file("tracker.py", TRACKER),
  file(".mcp.json", MCP),
  file("made/greeter.py", GREETER),
  file("made/test_greeter.py", TESTS),
  file("made/.gitignore", "__pycache__/"),
  "cd made && git init --quiet --initial-branch=main && git add .",
  'git -c user.name=Ada -c user.email=ada@example.com commit --quiet -m "Greet people"',
  "cd .. && git clone --quiet --bare made greeter.git && rm -r made",
  'echo "greeter.git is ready"',
].join("\n");

export const TEMPLATE = {
  name: "greeter",
  display_name: "Greeter",
  description: "Python, with the repository of the greeter.",
  startup_script: STARTUP,
};

export const PLEASE_FIX = "Nobody is greeted with “Hello, !”. Make a workspace for the greeter, fix that, and show me the tests.";
export const FIXED = "An empty name is greeted with “Hello!” now. Both tests pass.";
export const TEST_COMMAND = "cd greeter && python3 test_greeter.py";

/** From nothing to a change that is tested. */
export function fixing(fake, templateId) {
  return fake.script(
    PLEASE_FIX,
    reply(text("I look for a template that has the greeter."), call("list_templates", { query: "greeter" })),
    reply(call("create_workspace", { template_id: templateId, name: "greeter" })),
    reply(text("Now the code."), call("execute", { command: "git clone --quiet greeter.git && git -C greeter log --oneline" })),
    reply(call("read_skill", { name: SKILL.name }), call("read_file", { path: "greeter/greeter.py" })),
    reply(text("As the skill says, the tests come first."), call("execute", { command: TEST_COMMAND })),
    reply(
      call("edit_files", {
        files: [{ path: "greeter/greeter.py", edits: [{ search: '    return f"Hello, {name}!"', replace: '    return f"Hello, {name}!" if name else "Hello!"' }] }],
      }),
    ),
    reply(call("execute", { command: TEST_COMMAND })),
    reply(text(FIXED)),
  );
}

export const PLEASE_LOOK_UP = "Is there a ticket for it?";
export const FOUND = "Yes: ticket 17, “Greeting without a name”, is open and Ada's.";

/** A call of the workspace's own MCP server. */
export const lookingUp = (fake) => fake.script(PLEASE_LOOK_UP, reply(call("tracker__find_ticket", { words: "greeting name" })), reply(text(FOUND)));

export const PLEASE_PLAN = "Plan how the greeter could speak other languages.";
export const QUESTION = "Where should the translations live?";
export const CHOSEN = "In files beside the code";
const PLAN = `# Greetings in other languages

1. Move the words into \`greetings/<language>.json\`.
2. \`greet\` takes a language and falls back to English.
3. A test for each language that is there.
`;

/** Planning: a question, and with its answer a plan to approve. */
export async function planning(fake, chatId) {
  const option = (label, description) => ({ label, description });
  const options = [option(CHOSEN, "Easy to edit, and reviewed with the code."), option("In a table", "Can be changed while it runs.")];
  await fake.script(PLEASE_PLAN, reply(call("ask_user_question", { questions: [{ header: "Storage", question: QUESTION, options }] })));
  await fake.script(CHOSEN, reply(call("write_file", { path: `.tandem/plans/PLAN-${chatId}.md`, content: PLAN })), reply(call("propose_plan", {})));
  await fake.script("The plan is approved", reply(text("Then I begin with the files.")));
}
