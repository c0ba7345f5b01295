// Terminal text as styled runs: SGR colours and bold; carriage returns overwrite, every other control is dropped. Pure.

export interface Run {
  text: string;
  /** 0-15, the terminal palette. */
  color: number | null;
  bold: boolean;
}

// oxlint-disable-next-line no-control-regex -- terminal output is made of control characters
const ESCAPE = /\u001B(?:\[([0-9;?]*)([A-Za-z])|\][^\u0007\u001B]*(?:\u0007|\u001B\\)|[()][A-Za-z0-9]|[=>78M])/g;
// oxlint-disable-next-line no-control-regex -- terminal output is made of control characters
const CONTROL = /[\u0000-\u0008\u000B-\u001F\u007F]/g;

export function terminalRuns(text: string): Run[] {
  const runs: Run[] = [];
  let style: Omit<Run, "text"> = { color: null, bold: false };
  let at = 0;
  const source = overwrite(text);
  for (const match of source.matchAll(ESCAPE)) {
    push(runs, source.slice(at, match.index), style);
    at = match.index + match[0].length;
    if (match[2] === "m") style = sgr(style, match[1] ?? "");
  }
  push(runs, source.slice(at), style);
  return runs;
}

function push(runs: Run[], text: string, style: Omit<Run, "text">): void {
  const clean = text.replaceAll(CONTROL, "");
  if (clean !== "") runs.push({ text: clean, ...style });
}

/** A bare carriage return starts the line again, as progress bars use it. */
function overwrite(text: string): string {
  if (!text.includes("\r")) return text;
  return text
    .replaceAll("\r\n", "\n")
    .split("\n")
    .map((line) => line.replace(/\r+$/, "").split("\r").at(-1) ?? "")
    .join("\n");
}

function sgr(style: Omit<Run, "text">, parameters: string): Omit<Run, "text"> {
  let { color, bold } = style;
  const codes = parameters === "" ? [0] : parameters.split(";").map(Number);
  for (const [index, code] of codes.entries()) {
    if (code === 38 || code === 48) {
      if (code === 38 && codes[index + 1] === 5) color = lowColor(codes[index + 2]) ?? color;
      break;
    }
    if (code === 0) [color, bold] = [null, false];
    else if (code === 1) bold = true;
    else if (code === 22) bold = false;
    else if (code === 39) color = null;
    else if (code >= 30 && code <= 37) color = code - 30;
    else if (code >= 90 && code <= 97) color = code - 82;
  }
  return { color, bold };
}

function lowColor(code: number | undefined): number | null {
  return code !== undefined && code < 16 ? code : null;
}
