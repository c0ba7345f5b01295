// What the agent asks its user, and the message an answer becomes. Pure.
import { list, open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";

export interface Question {
  header: string;
  question: string;
  options: readonly { label: string; description: string }[];
}

/** An answer as far as it has been given. */
export interface Picked {
  option: number | null;
  own: string;
}

export function questionsOf(row: ToolRow): readonly Question[] {
  const asked = list(open(row.result)["questions"]);
  const from = asked.length > 0 ? asked : list(open(row.args)["questions"]);
  return from
    .map(open)
    .map((one) => ({
      header: str(one["header"]),
      question: str(one["question"]),
      options: list(one["options"])
        .map(open)
        .map((option) => ({ label: str(option["label"]), description: str(option["description"]) })),
    }))
    .filter(({ question }) => question !== "");
}

/** `null` while a question is left open. */
export function answerText(questions: readonly Question[], picked: readonly Picked[]): string | null {
  const answers = questions.map(({ options }, index) => {
    const one = picked[index];
    return one?.own.trim() || options[one?.option ?? -1]?.label || "";
  });
  if (answers.includes("")) return null;
  if (questions.length === 1) return answers[0] ?? null;
  return questions.map(({ header, question }, index) => `${header || question}: ${answers[index] ?? ""}`).join("\n");
}
