import type { Definition, List, Nodes, Parents, Table } from "mdast";
import { createElement, Fragment, type ReactNode } from "react";
import { isOwnImage, safeHref } from "@/lib/links.ts";
import { CodeBlock } from "./CodeBlock.tsx";

type Definitions = ReadonlyMap<string, Definition>;
const BREAK = /^<br\s*\/?>$/i;
/** Tags and comments of HTML. Anything else in angle brackets, such as `<String>`, is what somebody wanted to say. */
const MARKUP =
  /^<(?:[!?]|\/?(?:a|abbr|article|aside|audio|b|base|body|button|canvas|caption|center|cite|code|dd|del|details|dialog|div|dl|dt|em|embed|fieldset|figcaption|figure|font|footer|form|frame|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|math|menu|meta|nav|noscript|object|ol|option|p|param|picture|pre|q|s|samp|script|section|select|small|source|span|strong|style|sub|summary|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|title|tr|track|u|ul|var|video|wbr)(?=[\s/>]|$))/i;

interface NodeProps {
  node: Nodes;
  definitions: Definitions;
}

/** One node of a Markdown tree as elements. Raw HTML has no way in: only what is named here is drawn. */
export function MarkdownNode({ node, definitions }: NodeProps): ReactNode {
  const inside = "children" in node ? <Inside of={node} definitions={definitions} /> : null;
  switch (node.type) {
    case "text":
      return node.value;
    case "paragraph":
      return <p>{inside}</p>;
    case "heading":
      return createElement(`h${String(node.depth)}`, null, inside);
    case "emphasis":
      return <em>{inside}</em>;
    case "strong":
      return <strong>{inside}</strong>;
    case "delete":
      return <del>{inside}</del>;
    case "inlineCode":
      return <code>{node.value}</code>;
    case "code":
      return <CodeBlock code={node.value} language={node.lang ?? ""} />;
    case "blockquote":
      return <blockquote>{inside}</blockquote>;
    case "break":
      return <br />;
    case "thematicBreak":
      return <hr />;
    case "link":
      return <ExternalLink href={node.url}>{inside}</ExternalLink>;
    case "linkReference":
      return <ExternalLink href={definitions.get(node.identifier)?.url}>{inside}</ExternalLink>;
    case "image":
      return <Picture src={node.url} alt={node.alt ?? ""} />;
    case "imageReference":
      return <Picture src={definitions.get(node.identifier)?.url ?? ""} alt={node.alt ?? ""} />;
    case "list":
      return <Items list={node} definitions={definitions} />;
    case "table":
      return <Grid table={node} definitions={definitions} />;
    case "footnoteReference":
      return <sup>{node.label ?? node.identifier}</sup>;
    case "footnoteDefinition":
      return (
        <div className="footnote">
          <sup>{node.label ?? node.identifier}</sup> <div>{inside}</div>
        </div>
      );
    case "html":
      if (BREAK.test(node.value.trim())) return <br />;
      return MARKUP.test(node.value.trim()) ? null : node.value;
    default:
      return inside;
  }
}

function Inside({ of, definitions }: { of: Parents; definitions: Definitions }) {
  // oxlint-disable-next-line react/no-array-index-key -- a parsed tree never changes
  return of.children.map((child, index) => <MarkdownNode key={index} node={child} definitions={definitions} />);
}

function Items({ list, definitions }: { list: List; definitions: Definitions }) {
  const isLoose = list.spread === true || list.children.some((item) => item.spread === true);
  const hasTasks = list.children.some((item) => typeof item.checked === "boolean");
  const items = list.children.map((item, index) => {
    const isTask = typeof item.checked === "boolean";
    return (
      // oxlint-disable-next-line react/no-array-index-key -- a parsed tree never changes
      <li key={index} className={isTask ? "task-list-item" : undefined}>
        {isTask ? <input type="checkbox" checked={item.checked === true} disabled readOnly aria-label={item.checked ? "Done" : "To do"} /> : null}
        {item.children.map((child, at) => {
          const isTight = child.type === "paragraph" && (!isLoose || (isTask && at === 0));
          // oxlint-disable-next-line react/no-array-index-key -- a parsed tree never changes
          return isTight ? <Fragment key={at}><Inside of={child} definitions={definitions} /></Fragment> : <MarkdownNode key={at} node={child} definitions={definitions} />;
        })}
      </li>
    );
  });
  const className = hasTasks ? "contains-task-list" : undefined;
  return list.ordered ? <ol start={list.start ?? 1} className={className}>{items}</ol> : <ul className={className}>{items}</ul>;
}

const ALIGN = { left: "text-left", center: "text-center", right: "text-right" };

function Grid({ table, definitions }: { table: Table; definitions: Definitions }) {
  const row = (index: number, cell: "td" | "th") =>
    table.children[index]?.children.map((content, column) => {
      const align = table.align?.[column];
      return createElement(cell, { key: column, className: align ? ALIGN[align] : undefined }, <Inside of={content} definitions={definitions} />);
    });
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Table">
      <table>
        <thead>
          <tr>{row(0, "th")}</tr>
        </thead>
        <tbody>
          {table.children.slice(1).map((_, index) => (
            // oxlint-disable-next-line react/no-array-index-key -- a parsed tree never changes
            <tr key={index}>{row(index + 1, "td")}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ExternalLink({ href, children }: { href: string | undefined; children?: ReactNode }) {
  const safe = safeHref(href);
  if (safe === null) return <span>{children}</span>;
  return (
    <a href={safe} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function Picture({ src, alt }: { src: string; alt: string }) {
  if (isOwnImage(src, window.location.origin)) return <img src={src} alt={alt} className="max-h-96 rounded-md" />;
  return <ExternalLink href={src}>{alt ? `Image: ${alt}` : "Image"}</ExternalLink>;
}
