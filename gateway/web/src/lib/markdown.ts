// Reads Markdown into a tree: with tables, task lists, strikethrough and bare links. Only reading: nothing here writes it. Pure.
import type { Definition, Root } from "mdast";
import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmFromMarkdown } from "mdast-util-gfm";
import { gfm } from "micromark-extension-gfm";

export interface Parsed {
  root: Root;
  /** What `[text][id]` points to, by identifier. */
  definitions: ReadonlyMap<string, Definition>;
}

const EXTENSIONS = [gfm({ singleTilde: false })];
const MDAST_EXTENSIONS = [gfmFromMarkdown()];

export function parseMarkdown(text: string): Parsed {
  const root = fromMarkdown(text, { extensions: EXTENSIONS, mdastExtensions: MDAST_EXTENSIONS });
  const definitions = new Map(root.children.flatMap((node) => (node.type === "definition" ? [[node.identifier, node] as const] : [])));
  return { root, definitions };
}
