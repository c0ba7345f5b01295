// Writes a .gz and a .br file beside every text asset, so that the server that embeds `dist/` never compresses at run time.
// Owns nothing about routing: which variant is sent is the server's decision.
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { Plugin, ResolvedConfig } from "vite";

const TEXT_ASSET = /\.(?:js|css|html|svg|json|txt|webmanifest)$/;
/** Below this many bytes a compressed variant is not worth a second file. */
const MIN_BYTES = 512;

export function precompress(): Plugin {
  let config: ResolvedConfig;
  return {
    name: "tandem-precompress",
    apply: "build",
    configResolved(resolved) {
      config = resolved;
    },
    async closeBundle() {
      await compressTree(join(config.root, config.build.outDir));
    },
  };
}

async function compressTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await compressTree(path);
    else if (TEXT_ASSET.test(entry.name)) await compressFile(path);
  }
}

async function compressFile(path: string): Promise<void> {
  if ((await stat(path)).size < MIN_BYTES) return;
  const bytes = await readFile(path);
  await Promise.all([
    promisify(gzip)(bytes, { level: 9 }).then((out) => writeFile(`${path}.gz`, out)),
    promisify(brotliCompress)(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }).then((out) => writeFile(`${path}.br`, out)),
  ]);
}
