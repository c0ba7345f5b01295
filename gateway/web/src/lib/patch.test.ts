import { describe, expect, it } from "vitest";
import { parseDiff } from "./diff.ts";
import { splitPatch } from "./patch.ts";

const PATCH = `diff --git a/src/a.rs b/src/a.rs
index 1..2 100644
--- a/src/a.rs
+++ b/src/a.rs
@@ -1,2 +1,2 @@
 fn a() {}
-old
+new
diff --git a/new file.txt b/new file.txt
new file mode 100644
index 0000000..3
--- /dev/null
+++ b/new file.txt\t
@@ -0,0 +1 @@
+diff --git is only text here
diff --git a/gone.txt b/gone.txt
deleted file mode 100644
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-bye
diff --git a/old/name.ts b/new/name.ts
similarity index 100%
rename from old/name.ts
rename to new/name.ts
diff --git a/logo.png b/logo.png
index 4..5 100644
Binary files a/logo.png and b/logo.png differ
`;

describe("a patch", () => {
  it("is taken apart into its files", () => {
    expect(splitPatch(PATCH).map(({ path, kind, movedFrom }) => [path, kind, movedFrom])).toEqual([
      ["src/a.rs", "changed", null],
      ["new file.txt", "added", null],
      ["gone.txt", "removed", null],
      ["new/name.ts", "changed", "old/name.ts"],
      ["logo.png", "binary", null],
    ]);
  });

  it("leaves each file a diff of its own", () => {
    const counts = splitPatch(PATCH).map(({ text }) => parseDiff(text)).map(({ added, removed }) => [added, removed]);
    expect(counts).toEqual([[1, 1], [1, 0], [0, 1], [0, 0], [0, 0]]);
  });

  it("may be a sentence why there is none", () => {
    expect(splitPatch("The diff is larger than 3 MiB.")).toEqual([]);
    expect(splitPatch("")).toEqual([]);
  });

  it("unquotes names", () => {
    const text = 'diff --git "a/say \\"hi\\"" "b/say \\"hi\\""\n--- "a/say \\"hi\\""\n+++ "b/say \\"hi\\""\n@@ -1 +1 @@\n-a\n+b\n';
    expect(splitPatch(text)[0]?.path).toBe('say "hi"');
  });
});
