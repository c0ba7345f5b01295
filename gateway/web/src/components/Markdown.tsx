import { memo, useEffect, useSyncExternalStore } from "react";
import { closeTail, fenceOf, splitBlocks } from "@/lib/blocks.ts";
import { fetchMarkdownParser, markdownParser, onMarkdownParser } from "@/lib/markdownLater.ts";
import { CodeBlock } from "./CodeBlock.tsx";
import { MarkdownNode } from "./MarkdownNode.tsx";

/** Parsed once per text: a finished block never renders again while the rest streams. */
const Block = memo(function Block({ text }: { text: string }) {
  // A fence needs no parser, and so costs little while it grows.
  const fence = fenceOf(text);
  return <div className="prose-block">{fence ? <CodeBlock code={fence.code} language={fence.language} /> : <Parsed text={text} />}</div>;
});

function Parsed({ text }: { text: string }) {
  const parse = useSyncExternalStore(onMarkdownParser, markdownParser);
  useEffect(() => void fetchMarkdownParser(), []);
  if (parse === null) return <p className="whitespace-pre-wrap">{text}</p>;
  const { root, definitions } = parse(text);
  return <MarkdownNode node={root} definitions={definitions} />;
}

/** The model's Markdown. Raw HTML is not rendered, addresses are checked, images come only from our own origin. */
export const Markdown = memo(function Markdown({ text, isLive = false }: { text: string; isLive?: boolean }) {
  const { finished, tail } = splitBlocks(text);
  const open = tail === "" ? [] : [isLive ? closeTail(tail) : tail];
  return (
    <div className="prose">
      {/* One list, so that the open tail stays the same element when it becomes a finished block. */}
      {[...finished, ...open].map((block, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- blocks never move
        <Block key={index} text={block} />
      ))}
    </div>
  );
});
