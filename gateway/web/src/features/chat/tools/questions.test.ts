import { describe, expect, it } from "vitest";
import { toolRow } from "@/testing/fixtures.ts";
import { answerText, type Question, questionsOf } from "./questions.ts";

const colour: Question = { header: "Colour", question: "Which colour?", options: [{ label: "Red", description: "" }, { label: "Blue", description: "Calm" }] };
const size: Question = { header: "", question: "How large?", options: [{ label: "S", description: "" }, { label: "L", description: "" }] };

describe("what is asked", () => {
  it("is read from the result, and from the arguments while there is none", () => {
    const row = { name: "ask_user_question", args: { questions: [colour] } };
    expect(questionsOf(toolRow({ ...row, result: undefined }))).toEqual([colour]);
    expect(questionsOf(toolRow({ ...row, result: { questions: [size] } }))).toEqual([size]);
  });

  it("survives any shape", () => {
    for (const odd of [null, 3, { questions: 3 }, { questions: [null, { question: 3 }] }]) expect(questionsOf(toolRow({ args: odd, result: odd }))).toEqual([]);
  });
});

describe("an answer", () => {
  it("is the option, or the reader's own words before it", () => {
    expect(answerText([colour], [{ option: 1, own: "" }])).toBe("Blue");
    expect(answerText([colour], [{ option: 1, own: " green " }])).toBe("green");
  });

  it("names the questions when there are several", () => {
    expect(answerText([colour, size], [{ option: 0, own: "" }, { option: 1, own: "" }])).toBe("Colour: Red\nHow large?: L");
  });

  it("is none while a question is open", () => {
    expect(answerText([colour], [])).toBeNull();
    expect(answerText([colour, size], [{ option: 0, own: "" }])).toBeNull();
    expect(answerText([colour], [{ option: 7, own: "  " }])).toBeNull();
  });
});
