import { memo } from "react";
import ReactMarkdown, { type Components, type Options } from "react-markdown";
import { closeTail, splitBlocks } from "@/lib/blocks.ts";
import { readGfm } from "@/lib/gfm.ts";
import { isOwnImage, safeHref } from "@/lib/links.ts";
import { CodeBlock } from "./CodeBlock.tsx";

const PLUGINS: NonNullable<Options["remarkPlugins"]> = [readGfm];

function ExternalLink({ href, children }: { href: string | undefined; children?: React.ReactNode }) {
  const safe = safeHref(href);
  if (safe === null) return <span>{children}</span>;
  return (
    <a href={safe} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

const COMPONENTS: Components = {
  a: ({ href, children }) => <ExternalLink href={href}>{children}</ExternalLink>,
  img: ({ src, alt }) => {
    const address = typeof src === "string" ? src : "";
    if (isOwnImage(address, window.location.origin)) return <img src={address} alt={alt ?? ""} className="max-h-96 rounded-md" />;
    return <ExternalLink href={address}>{alt ? `Image: ${alt}` : "Image"}</ExternalLink>;
  },
  pre: ({ node }) => {
    const code = node?.children[0];
    if (code?.type !== "element") return null;
    const text = code.children.map((child) => (child.type === "text" ? child.value : "")).join("");
    const names = Array.isArray(code.properties["className"]) ? code.properties["className"].map(String) : [];
    const language = names.find((name) => name.startsWith("language-"))?.slice("language-".length) ?? "";
    return <CodeBlock code={text.replace(/\n$/, "")} language={language} />;
  },
  table: ({ children }) => (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Table">
      <table>{children}</table>
    </div>
  ),
};

/** Parsed once per text: a finished block never renders again while the rest streams. */
const Block = memo(function Block({ text }: { text: string }) {
  return (
    <div className="prose-block">
      <ReactMarkdown remarkPlugins={PLUGINS} components={COMPONENTS} skipHtml>
        {text}
      </ReactMarkdown>
    </div>
  );
});

/** The model's Markdown. Raw HTML is not rendered, addresses are checked, images come only from our own origin. */
export const Markdown = memo(function Markdown({ text, isLive = false }: { text: string; isLive?: boolean }) {
  const { finished, tail } = splitBlocks(text);
  return (
    <div className="prose">
      {finished.map((block, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- finished blocks never move
        <Block key={index} text={block} />
      ))}
      {tail === "" ? null : <Block key={finished.length} text={isLive ? closeTail(tail) : tail} />}
    </div>
  );
});
