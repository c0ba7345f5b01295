import { Field } from "@/components/Field.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { TextArea } from "@/components/TextArea.tsx";
import type { Option } from "@/lib/callOptions.ts";
import type { ModelDraft } from "./useModelDraft.ts";

interface OptionFieldProps {
  option: Option;
  draft: ModelDraft;
  /** What an empty field stands for. */
  placeholder?: string;
}

/** One option of a model's calls. Empty means: as the provider does by itself. */
export function OptionField({ option, draft, placeholder = "" }: OptionFieldProps) {
  const value = draft.textOf(option);
  const change = (event: { target: { value: string } }) => draft.type(option, event.target.value);
  if (option.kind === "flag" || option.kind === "choice") {
    const choices = option.kind === "flag" ? [["true", "On"] as const, ["false", "Off"] as const] : (option.choices ?? []).map((one) => [one, one] as const);
    const isKnown = value === "" || choices.some(([one]) => one === value);
    return (
      <SelectField label={option.label} value={value} onChange={change} hint={option.hint}>
        <option value="">Not set</option>
        {choices.map(([one, name]) => (
          <option key={one} value={one}>
            {name}
          </option>
        ))}
        {isKnown ? null : <option value={value}>{value}</option>}
      </SelectField>
    );
  }
  if (option.kind === "json") {
    return <TextArea label={option.label} rows={3} value={value} onChange={change} hint={option.hint} problem={draft.problemOf(option)} className="sm:col-span-2" />;
  }
  const isNumber = option.kind === "integer" || option.kind === "number";
  return (
    <Field
      label={option.label}
      inputMode={isNumber ? (option.min !== undefined && option.min < 0 ? "text" : "decimal") : "text"}
      autoComplete="off"
      spellCheck={false}
      placeholder={placeholder}
      value={value}
      onChange={change}
      hint={option.hint}
      problem={draft.problemOf(option)}
    />
  );
}
