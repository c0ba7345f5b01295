// Which languages can be coloured, under which names and file endings, and where their tokenizers are. Each is a chunk of its
// own, fetched when the first text in it is on screen.
import type { StreamParser } from "@codemirror/streamparser";

/** A tokenizer whose state nobody else looks into. */
export type Parser = StreamParser<unknown>;

type Loader = () => Promise<Parser>;

const clike = () => import("@codemirror/legacy-modes/mode/clike");
const script = () => import("@codemirror/legacy-modes/mode/javascript");
const styles = () => import("@codemirror/legacy-modes/mode/css");
const markup = () => import("@codemirror/legacy-modes/mode/xml");

/** A parser hands its own state back to itself only, so that forgetting the state's type loses nothing. */
const open = (parser: unknown) => parser as Parser;

const LOADERS = {
  c: () => clike().then((m) => open(m.c)),
  cpp: () => clike().then((m) => open(m.cpp)),
  csharp: () => clike().then((m) => open(m.csharp)),
  css: () => styles().then((m) => open(m.css)),
  dart: () => clike().then((m) => open(m.dart)),
  diff: () => import("@codemirror/legacy-modes/mode/diff").then((m) => open(m.diff)),
  dockerfile: () => import("@codemirror/legacy-modes/mode/dockerfile").then((m) => open(m.dockerFile)),
  go: () => import("@codemirror/legacy-modes/mode/go").then((m) => open(m.go)),
  html: () => markup().then((m) => open(m.html)),
  ini: () => import("@codemirror/legacy-modes/mode/properties").then((m) => open(m.properties)),
  java: () => clike().then((m) => open(m.java)),
  javascript: () => script().then((m) => open(m.javascript)),
  json: () => script().then((m) => open(m.json)),
  kotlin: () => clike().then((m) => open(m.kotlin)),
  lua: () => import("@codemirror/legacy-modes/mode/lua").then((m) => open(m.lua)),
  nginx: () => import("@codemirror/legacy-modes/mode/nginx").then((m) => open(m.nginx)),
  perl: () => import("@codemirror/legacy-modes/mode/perl").then((m) => open(m.perl)),
  powershell: () => import("@codemirror/legacy-modes/mode/powershell").then((m) => open(m.powerShell)),
  protobuf: () => import("@codemirror/legacy-modes/mode/protobuf").then((m) => open(m.protobuf)),
  python: () => import("@codemirror/legacy-modes/mode/python").then((m) => open(m.python)),
  ruby: () => import("@codemirror/legacy-modes/mode/ruby").then((m) => open(m.ruby)),
  rust: () => import("@codemirror/legacy-modes/mode/rust").then((m) => open(m.rust)),
  scala: () => clike().then((m) => open(m.scala)),
  scss: () => styles().then((m) => open(m.sCSS)),
  shell: () => import("@codemirror/legacy-modes/mode/shell").then((m) => open(m.shell)),
  sql: () => import("@codemirror/legacy-modes/mode/sql").then((m) => open(m.standardSQL)),
  swift: () => import("@codemirror/legacy-modes/mode/swift").then((m) => open(m.swift)),
  toml: () => import("@codemirror/legacy-modes/mode/toml").then((m) => open(m.toml)),
  typescript: () => script().then((m) => open(m.typescript)),
  xml: () => markup().then((m) => open(m.xml)),
  yaml: () => import("@codemirror/legacy-modes/mode/yaml").then((m) => open(m.yaml)),
} satisfies Record<string, Loader>;

export type Language = keyof typeof LOADERS;

/** Other names and file endings, besides each language's own name. */
const NAMES: Partial<Record<Language, string>> = {
  c: "h",
  cpp: "cc cxx c++ hpp hh hxx",
  csharp: "cs c#",
  diff: "patch",
  dockerfile: "docker containerfile",
  go: "golang",
  html: "htm vue svelte",
  ini: "cfg conf properties env dotenv editorconfig service",
  javascript: "js jsx mjs cjs",
  json: "json5 jsonc jsonl ndjson webmanifest",
  kotlin: "kt kts",
  perl: "pl pm",
  powershell: "ps1 pwsh",
  protobuf: "proto",
  python: "py pyi py3 python3",
  ruby: "rb gemspec rakefile gemfile",
  rust: "rs",
  scala: "sc sbt",
  scss: "sass less",
  shell: "sh bash zsh ksh fish shellscript makefile make mk justfile",
  sql: "psql pgsql postgres postgresql mysql sqlite",
  toml: "lock",
  typescript: "ts tsx mts cts",
  xml: "svg xsd xsl plist csproj",
  yaml: "yml",
};

const BY_NAME = new Map<string, Language>();
for (const language of Object.keys(LOADERS) as Language[]) {
  for (const name of [language, ...(NAMES[language]?.split(" ") ?? [])]) BY_NAME.set(name, language);
}

/** The language a code fence names, such as `rust` or `rust,ignore`; `null` when it cannot be coloured. */
export function languageNamed(name: string): Language | null {
  const [word = ""] = name.trim().toLowerCase().split(/[\s,{:]/);
  return BY_NAME.get(word) ?? null;
}

/** The language of a file, by its ending or, without one, by its name. */
export function languageOfPath(path: string): Language | null {
  const file = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  return BY_NAME.get(file.slice(file.lastIndexOf(".") + 1)) ?? (file.startsWith("dockerfile") ? "dockerfile" : null);
}

export function loadParser(language: Language): Promise<Parser> {
  return LOADERS[language]();
}
