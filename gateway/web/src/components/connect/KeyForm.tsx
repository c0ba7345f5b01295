import { useState } from "react";
import { Field } from "../Field.tsx";
import { SelectField } from "../SelectField.tsx";
import { ConnectForm } from "./ConnectForm.tsx";
import { guessPreset, OPENAI, PRESETS } from "./presets.ts";

/** A hosted provider: paste a key, and the rest is known. */
export function KeyForm({ onDone }: { onDone: () => void }) {
  const [key, setKey] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  const apiKey = key.trim();
  const preset = PRESETS.find((p) => p.id === chosen) ?? guessPreset(apiKey) ?? OPENAI;
  const target = apiKey === "" ? null : { type: preset.type, name: preset.id, displayName: preset.name, baseUrl: preset.baseUrl, apiKey };
  return (
    <ConnectForm target={target} preferred={preset.preferred} onDone={onDone}>
      <Field
        label="API key"
        type="password"
        autoComplete="off"
        spellCheck={false}
        placeholder="sk-…"
        value={key}
        onChange={(event) => setKey(event.target.value)}
        hint="Sent once to this Tandem server, stored encrypted, never shown again."
      />
      <SelectField label="Provider" value={preset.id} onChange={(event) => setChosen(event.target.value)}>
        {PRESETS.toSorted((a, b) => a.name.localeCompare(b.name)).map((p) => (
          <option key={p.id} value={p.id}>
            {p.name}
          </option>
        ))}
      </SelectField>
    </ConnectForm>
  );
}
