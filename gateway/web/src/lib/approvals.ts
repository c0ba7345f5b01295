// How approvals read: modes, risks, what may be said with a decision, and what eyes would miss in what waits. Pure.
import type { ApprovalMode, ApprovalRequest } from "@/api/types.ts";

export interface ModeWords {
  mode: ApprovalMode;
  name: string;
  /** What it means, in one sentence. */
  means: string;
  /** Behind the picture in the message field. */
  short: string;
}

/** The most lenient first. */
export const MODES: readonly [ModeWords, ModeWords, ModeWords] = [
  { mode: "never", name: "Never ask", means: "Everything runs at once, within the walls of the workspace.", short: "" },
  { mode: "risky", name: "Ask before risky calls", means: "You are asked when nobody can tell what a call does.", short: "Asks if risky" },
  { mode: "always", name: "Ask before every change", means: "You are asked before everything that does more than read.", short: "Asks first" },
];

export const modeWords = (mode: ApprovalMode): ModeWords => MODES.find((one) => one.mode === mode) ?? MODES[0];

/** What is known of the effects of a call. */
export const riskWords = (risk: ApprovalRequest["risk"]): string => (risk === "changes" ? "Makes changes" : "Effects unknown");

/** Of what may be said to the model with a decision. */
const MAX_REASON_BYTES = 1_024;

/** What is wrong with a note to the model; empty when nothing is. */
export function noteProblem(note: string): string {
  const over = new TextEncoder().encode(note.trim()).length - MAX_REASON_BYTES;
  return over <= 0 ? "" : `This is ${over.toLocaleString("en-US")} ${over === 1 ? "byte" : "bytes"} too long.`;
}

/** With a full stop, as a sentence. */
export const sentence = (reason: string): string => (/[.!?]$/.test(reason.trim()) ? reason.trim() : `${reason.trim()}.`);

/** Characters that are not seen, or that change the order in which others are; but for ends of lines, tabs, and what chooses the look of an emoji. */
const UNSEEN = /(?!\ufe0f)[\p{Default_Ignorable_Code_Point}\p{Cf}\u2028\u2029]|(?![\n\t]|\r\n)\p{Cc}/gu;

export const hasUnseen = (text: string): boolean => text.search(UNSEEN) >= 0;

/** The text with everything that is not seen spelt out. */
export const spelt = (text: string): string => text.replace(UNSEEN, (one) => `⟨U+${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
