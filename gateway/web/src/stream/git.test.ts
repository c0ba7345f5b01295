import { describe, expect, it } from "vitest";
import { NOTHING_YET, withFrame } from "./git.ts";

const frame = (...repositories: object[]) => JSON.stringify({ type: "changes", scanned_at: "2026-11-21T10:00:00Z", repositories });
const repo = (root: string, diff: string, more: object = {}) => ({ repo_root: root, branch: "main", remote_origin: "", unified_diff: diff, ...more });

describe("following repositories", () => {
  it("starts with all of them and then takes what differs", () => {
    const first = withFrame(NOTHING_YET, frame(repo("/b", "x"), repo("/a", "y")));
    expect(first.repositories?.map(({ root }) => root)).toEqual(["/a", "/b"]);
    const second = withFrame(first, frame(repo("/a", "")));
    expect(second.repositories?.map(({ diff }) => diff)).toEqual(["", "x"]);
    const third = withFrame(second, frame({ repo_root: "/b", removed: true }));
    expect(third.repositories?.map(({ root }) => root)).toEqual(["/a"]);
  });

  it("knows that there is none", () => expect(withFrame(NOTHING_YET, frame()).repositories).toEqual([]));

  it("keeps what it knows when something goes wrong, and says so until the next scan", () => {
    const known = withFrame(NOTHING_YET, frame(repo("/a", "y")));
    const failed = withFrame(known, JSON.stringify({ type: "error", message: "git is missing" }));
    expect(failed).toMatchObject({ problem: "git is missing", repositories: known.repositories });
    expect(withFrame(failed, frame()).problem).toBe("");
  });

  it("survives frames of any shape", () => {
    for (const odd of ["", "[]", "null", "3", '{"type":"changes","repositories":[null,3,{}]}', '{"type":"later"}']) {
      expect(withFrame(NOTHING_YET, odd).repositories ?? []).toEqual([]);
    }
  });
});
