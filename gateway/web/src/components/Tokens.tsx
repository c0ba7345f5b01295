import type { Line, Token } from "@/lib/highlight/colour.ts";

/** The coloured words of one line. */
export function Tokens({ line }: { line: Line }) {
  // oxlint-disable-next-line react/no-array-index-key -- a line that changes is drawn anew
  return line.map((token, index) => <Word key={index} token={token} />);
}

export function Word({ token }: { token: Token }) {
  return token.look === null ? token.text : <span className={`tok-${token.look}`}>{token.text}</span>;
}
