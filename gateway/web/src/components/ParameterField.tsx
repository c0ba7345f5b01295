import type { TemplateParameter } from "@/api/workspaces.ts";
import { Field } from "./Field.tsx";
import { SelectField } from "./SelectField.tsx";
import { Switch } from "./Switch.tsx";

interface ParameterFieldProps {
  parameter: TemplateParameter;
  value: string;
  onChange: (value: string) => void;
}

/** What a template asks for, by its kind. All values travel as text. */
export function ParameterField({ parameter, value, onChange }: ParameterFieldProps) {
  const label = `${parameter.display_name || parameter.name}${parameter.required ? "" : " (optional)"}`;
  if (parameter.options.length > 0) {
    return (
      <SelectField label={label} hint={parameter.options.find((option) => option.value === value)?.description || parameter.description} value={value} onChange={(event) => onChange(event.target.value)}>
        {value === "" || !parameter.required ? <option value="">None</option> : null}
        {parameter.options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.name}
          </option>
        ))}
      </SelectField>
    );
  }
  if (parameter.type === "bool") {
    return (
      <div>
        <Switch label={label} checked={value === "true"} onChange={(checked) => onChange(String(checked))} />
        <p className="text-sm text-faint">{parameter.description}</p>
      </div>
    );
  }
  const hint = [parameter.description, parameter.type === "list" ? "A list in JSON, such as [\"a\", \"b\"]." : ""].filter(Boolean).join(" ");
  return (
    <Field
      label={label}
      hint={hint === "" ? undefined : hint}
      required={parameter.required}
      inputMode={parameter.type === "number" ? "decimal" : undefined}
      autoComplete="off"
      spellCheck={false}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}
