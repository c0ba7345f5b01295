import { WrapText } from "lucide-react";
import { useState } from "react";
import { classes } from "@/lib/classes.ts";
import { Code } from "./Code.tsx";
import { CopyButton } from "./CopyButton.tsx";
import { IconButton } from "./IconButton.tsx";

interface CodeBlockProps {
  code: string;
  language: string;
}

export function CodeBlock({ code, language }: CodeBlockProps) {
  const [wraps, setWraps] = useState(false);
  return (
    <div className="overflow-hidden rounded-md border border-line bg-sunken">
      <div className="flex h-9 items-center justify-between border-b border-line pr-1 pl-3.5">
        <span className="font-mono text-xs text-faint">{language || "text"}</span>
        <div className="flex">
          <IconButton size="sm" tipSide="left" label={wraps ? "Do not wrap lines" : "Wrap lines"} aria-pressed={wraps} onClick={() => setWraps(!wraps)}>
            <WrapText size={14} className={classes(wraps && "text-accent")} />
          </IconButton>
          <CopyButton text={code} label="Copy code" />
        </div>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrollable region must be reachable by keyboard */}
      <pre tabIndex={0} className={classes("overflow-x-auto px-3.5 py-3 font-mono text-[13px] leading-5", wraps && "wrap-anywhere whitespace-pre-wrap")}>
        <Code text={code} language={language} />
      </pre>
    </div>
  );
}
