// How programs are pointed at this deployment, as text to copy. Pure.

/** The protocols a program may speak. */
export type Dialect = "openai" | "anthropic";

export interface Snippet {
  id: string;
  name: string;
  /** Of the code, for its colours. */
  language: string;
  dialects: readonly Dialect[];
  code: (place: Place) => string;
}

export interface Place {
  /** Such as `https://tandem.example`. */
  origin: string;
  model: string;
  dialect: Dialect;
}

/** Where a dialect is served. */
const baseUrl = (origin: string, dialect: Dialect): string => `${origin}/${dialect}/v1`;

/** What programs are told: those that speak Anthropic's protocol add `/v1` themselves. */
export const programUrl = (origin: string, dialect: Dialect): string => (dialect === "anthropic" ? `${origin}/anthropic` : baseUrl(origin, dialect));

/** The name under which the snippets expect the token. */
const TOKEN = "TANDEM_TOKEN";
const PROMPT = "Say hello.";

export const SNIPPETS: readonly Snippet[] = [
  {
    id: "curl",
    name: "curl",
    language: "sh",
    dialects: ["openai", "anthropic"],
    code: ({ origin, model, dialect }) =>
      dialect === "openai"
        ? `curl ${baseUrl(origin, dialect)}/chat/completions \\
  -H "Authorization: Bearer $${TOKEN}" \\
  -H "Content-Type: application/json" \\
  -d '{"model": ${inSingle(model)},
       "messages": [{"role": "user", "content": "${PROMPT}"}]}'`
        : `curl ${baseUrl(origin, dialect)}/messages \\
  -H "X-Api-Key: $${TOKEN}" \\
  -H "anthropic-version: 2023-06-01" \\
  -H "Content-Type: application/json" \\
  -d '{"model": ${inSingle(model)}, "max_tokens": 1024,
       "messages": [{"role": "user", "content": "${PROMPT}"}]}'`,
  },
  {
    id: "python",
    name: "Python",
    language: "python",
    dialects: ["openai", "anthropic"],
    code: ({ origin, model, dialect }) =>
      dialect === "openai"
        ? `import os
from openai import OpenAI

client = OpenAI(base_url="${baseUrl(origin, dialect)}", api_key=os.environ["${TOKEN}"])
answer = client.chat.completions.create(
    model=${JSON.stringify(model)},
    messages=[{"role": "user", "content": "${PROMPT}"}],
)
print(answer.choices[0].message.content)`
        : `import os
from anthropic import Anthropic

client = Anthropic(base_url="${programUrl(origin, "anthropic")}", api_key=os.environ["${TOKEN}"])
answer = client.messages.create(
    model=${JSON.stringify(model)},
    max_tokens=1024,
    messages=[{"role": "user", "content": "${PROMPT}"}],
)
print(answer.content[0].text)`,
  },
  {
    id: "node",
    name: "Node",
    language: "js",
    dialects: ["openai", "anthropic"],
    code: ({ origin, model, dialect }) =>
      dialect === "openai"
        ? `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${baseUrl(origin, dialect)}", apiKey: process.env.${TOKEN} });
const answer = await client.chat.completions.create({
  model: ${JSON.stringify(model)},
  messages: [{ role: "user", content: "${PROMPT}" }],
});
console.log(answer.choices[0].message.content);`
        : `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: "${programUrl(origin, "anthropic")}", apiKey: process.env.${TOKEN} });
const answer = await client.messages.create({
  model: ${JSON.stringify(model)},
  max_tokens: 1024,
  messages: [{ role: "user", content: "${PROMPT}" }],
});
console.log(answer.content[0].text);`,
  },
  {
    id: "claude-code",
    name: "Claude Code",
    language: "sh",
    dialects: ["anthropic"],
    code: ({ origin, model }) => `export ANTHROPIC_BASE_URL=${programUrl(origin, "anthropic")}
export ANTHROPIC_AUTH_TOKEN="$${TOKEN}"
export ANTHROPIC_MODEL=${inShell(model)}
claude`,
  },
  {
    id: "codex",
    name: "Codex",
    language: "toml",
    dialects: ["openai"],
    code: ({ origin, model, dialect }) => `# ~/.codex/config.toml; the token is read from $${TOKEN}
model = ${JSON.stringify(model)}
model_provider = "tandem"

[model_providers.tandem]
name = "Tandem"
base_url = "${baseUrl(origin, dialect)}"
env_key = "${TOKEN}"
wire_api = "responses"`,
  },
];

export const DIALECT_NAMES: Record<Dialect, string> = { openai: "OpenAI", anthropic: "Anthropic" };

/** JSON inside of a shell's single quotes. */
const inSingle = (text: string) => JSON.stringify(text).replaceAll("'", "'\\''");
const inShell = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
