import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";

const SRC = join(process.cwd(), "src");
const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name) && !/\.test\.tsx?$/.test(name) && !name.startsWith("testing"));

const IMPORT = /(?:from|import)\s*\(?\s*"([@.\w][^"\s]*)"/g;

function importsOf(file: string): string[] {
  const from = join(SRC, file);
  return [...readFileSync(from, "utf8").matchAll(IMPORT)].map(([, name = ""]) => {
    if (name.startsWith("@/")) return name.slice(2);
    return name.startsWith(".") ? relative(SRC, join(from, "..", name)) : `package:${name}`;
  });
}

const offences = (isOffence: (file: string, name: string) => boolean) => files.flatMap((file) => importsOf(file).filter((name) => isOffence(file, name)).map((name) => `${file} imports ${name}`));

describe("imports", () => {
  it("are found at all", () => {
    expect(files.length).toBeGreaterThan(60);
    expect(importsOf("stream/session.ts")).toContain("api/chats.ts");
  });

  it("of api, stream and lib reach no React and nothing above them", () => {
    const pure = (name: string) => /^(?:(?:api|stream|lib)\/|package:@codemirror\/)/.test(name) || ["package:mdast", "package:mdast-util-from-markdown", "package:mdast-util-gfm", "package:micromark-extension-gfm"].includes(name);
    expect(offences((file, name) => /^(?:api|stream|lib)\//.test(file) && !pure(name))).toEqual([]);
  });

  it("of a feature reach no other feature and not the app", () => {
    const feature = (path: string) => /^features\/([^/]+)/.exec(path)?.[1];
    expect(offences((file, name) => feature(file) !== undefined && (name.startsWith("app/") || (feature(name) !== undefined && feature(name) !== feature(file))))).toEqual([]);
  });

  it("of components and data reach no feature and not the app", () => {
    expect(offences((file, name) => /^(?:components|data)\//.test(file) && /^(?:features|app)\//.test(name))).toEqual([]);
  });

  it("leave every component below 150 lines", () => {
    const long = files.filter((file) => file.endsWith(".tsx") && readFileSync(join(SRC, file), "utf8").split("\n").length > 160);
    expect(long).toEqual([]);
  });
});
