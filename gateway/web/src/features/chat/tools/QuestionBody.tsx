import { useId, useState } from "react";
import { Button } from "@/components/Button.tsx";
import { classes } from "@/lib/classes.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { useAnswering } from "../answering.ts";
import { GenericBody } from "./GenericBody.tsx";
import { answerText, type Picked, type Question, questionsOf } from "./questions.ts";
import { useAnswer } from "./useAnswer.ts";

const NOTHING: Picked = { option: null, own: "" };

/** What the agent wants to know: options to pick from, and always room for words of one's own. */
export function QuestionBody({ row }: { row: ToolRow }) {
  const questions = questionsOf(row);
  const { rowKey } = useAnswering();
  const { isSending, problem, answer } = useAnswer();
  const [picked, setPicked] = useState<readonly Picked[]>([]);
  if (questions.length === 0) return <GenericBody row={row} />;
  const isOpen = rowKey === row.key;
  const text = answerText(questions, picked);
  return (
    <form
      className="space-y-5 px-4 py-3"
      onSubmit={(event) => {
        event.preventDefault();
        if (text !== null) answer(text);
      }}
    >
      {questions.map((question, index) => (
        <OneQuestion
          // oxlint-disable-next-line react/no-array-index-key -- the questions of a call never change
          key={index}
          question={question}
          picked={picked[index] ?? NOTHING}
          isOpen={isOpen && !isSending}
          onPick={(change) => setPicked(questions.map((_, at) => (at === index ? change : (picked[at] ?? NOTHING))))}
        />
      ))}
      {isOpen ? (
        <Button type="submit" look="primary" busy={isSending} disabled={text === null}>
          Send the {questions.length === 1 ? "answer" : "answers"}
        </Button>
      ) : null}
      {problem === "" ? null : (
        <p role="alert" className="text-sm text-danger">
          {problem}
        </p>
      )}
    </form>
  );
}

interface OneQuestionProps {
  question: Question;
  picked: Picked;
  isOpen: boolean;
  onPick: (picked: Picked) => void;
}

function OneQuestion({ question, picked, isOpen, onPick }: OneQuestionProps) {
  const name = useId();
  return (
    <fieldset disabled={!isOpen} className="min-w-0">
      <legend className="mb-2">
        {question.header === "" ? null : <span className="block text-xs text-faint">{question.header}</span>}
        {question.question}
      </legend>
      <div className="divide-y divide-line overflow-hidden rounded-md border border-line">
        {question.options.map((option, index) => (
          <label key={option.label} htmlFor={`${name}-${String(index)}`} className={classes("flex gap-3 px-3.5 py-2.5", isOpen && "cursor-pointer hover:bg-hover", picked.option === index && "bg-selected")}>
            <input
              id={`${name}-${String(index)}`}
              type="radio"
              name={name}
              checked={picked.option === index}
              onChange={() => onPick({ option: index, own: "" })}
              className="mt-1.5 size-3.5 shrink-0 accent-(--accent)"
            />
            <span className="min-w-0">
              {option.label}
              {option.description === "" ? null : <span className="block text-[13px] leading-5 text-muted">{option.description}</span>}
            </span>
          </label>
        ))}
      </div>
      {isOpen ? (
        <input
          type="text"
          aria-label={`Another answer to: ${question.question}`}
          placeholder="Or in your own words"
          value={picked.own}
          onChange={(event) => onPick({ option: null, own: event.target.value })}
          className="mt-2 h-9 w-full rounded-md border border-line bg-raised px-3 text-sm touch:h-11"
        />
      ) : null}
    </fieldset>
  );
}
