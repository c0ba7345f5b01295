// Adds to package-lock.json the optional packages of other platforms that the registry in use did not offer when the lock was
// made. Their exact versions are named by the packages that want them; without the entries `npm ci` refuses the lock.
// Run it after `npm install` has changed the lock: node tools/complete-lock.mjs
import { readFileSync, writeFileSync } from "node:fs";

const FILE = new URL("../package-lock.json", import.meta.url);
const OS = ["android", "darwin", "freebsd", "linux", "openbsd", "netbsd", "openharmony", "sunos", "win32", "aix"];
const CPU = ["arm64", "x64", "ia32", "arm", "ppc64", "riscv64", "s390x", "loong64", "mips64el", "wasm32"];

const lock = JSON.parse(readFileSync(FILE, "utf8"));
const added = [];
for (const wanting of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(wanting.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`;
    if (path in lock.packages || !/^\d/.test(version)) continue;
    const words = name.split("/").pop().split(/[-.]/);
    const os = OS.filter((word) => words.includes(word));
    const cpu = CPU.filter((word) => words.some((w) => w === word || (word === "arm" && w.startsWith("arm") && w !== "arm64")));
    lock.packages[path] = { version, ...(cpu.length > 0 && { cpu }), ...(wanting.dev && { dev: true }), optional: true, ...(os.length > 0 && { os }) };
    added.push(`${name}@${version}`);
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(([a], [b]) => a.localeCompare(b, "en")));
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${added.length} entries added\n`);
