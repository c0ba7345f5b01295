import { expect, it } from "vitest";
import { toolRow } from "@/testing/fixtures.ts";
import { editsOf } from "./edits.ts";

const edit = (key: string, ...files: [path: string, diff: string][]) =>
  toolRow({ key, name: "edit_files", args: {}, result: { files: files.map(([path, diff]) => ({ path, diff })) } });

it("gathers the edits of a chat by file, as they were made", () => {
  const rows = [
    edit("1", ["/b", "first"], ["/a", "second"]),
    toolRow({ name: "write_file", args: { path: "/c", content: "x" }, result: { ok: true } }),
    edit("2", ["/b", "third"]),
    toolRow({ name: "write_file", args: { path: "/d" }, state: "failed", result: { error: "no" } }),
  ];
  expect(editsOf(rows)).toEqual([
    { path: "/b", diffs: ["first", "third"], written: 0 },
    { path: "/a", diffs: ["second"], written: 0 },
    { path: "/c", diffs: [], written: 1 },
  ]);
});

it("survives results of any shape", () => {
  for (const odd of [null, 3, { files: [null, {}, { path: 3 }] }]) expect(editsOf([toolRow({ name: "edit_files", args: odd, result: odd })])).toEqual([]);
});
