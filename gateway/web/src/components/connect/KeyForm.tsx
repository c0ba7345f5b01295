import { useState } from "react";
import { isWebAddress, withoutSlash } from "@/lib/address.ts";
import { Field } from "../Field.tsx";
import { SelectField } from "../SelectField.tsx";
import { ConnectForm } from "./ConnectForm.tsx";
import { guessPreset, OPENAI, PRESETS } from "./presets.ts";

/** A hosted provider: paste a key, and the rest is known. */
export function KeyForm({ onDone }: { onDone: () => void }) {
  const [key, setKey] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  const [address, setAddress] = useState("");
  const apiKey = key.trim();
  const preset = PRESETS.find((p) => p.id === chosen) ?? guessPreset(apiKey) ?? OPENAI;
  const given = preset.address ? withoutSlash(address) : "";
  const isPlaced = given === "" ? preset.address?.isRequired !== true : isWebAddress(given);
  const baseUrl = given || preset.baseUrl;
  const isKeyed = apiKey !== "" || preset.withoutKey !== undefined;
  const target = !isKeyed || !isPlaced ? null : { type: preset.type, name: preset.id, displayName: preset.name, ...(baseUrl && { baseUrl }), apiKey };
  return (
    <ConnectForm target={target} preferred={preset.preferred} onDone={onDone}>
      <Field
        label={preset.withoutKey ? "API key (optional)" : "API key"}
        type="password"
        autoComplete="off"
        spellCheck={false}
        placeholder={preset.keyPrefix ? `${preset.keyPrefix}…` : ""}
        value={key}
        onChange={(event) => setKey(event.target.value)}
        hint={["Sent once to this Tandem server, stored encrypted, never shown again.", preset.withoutKey].filter(Boolean).join(" ")}
      />
      <SelectField label="Provider" value={preset.id} onChange={(event) => setChosen(event.target.value)}>
        {PRESETS.toSorted((a, b) => a.name.localeCompare(b.name)).map((p) => (
          <option key={p.id} value={p.id}>
            {p.name}
          </option>
        ))}
      </SelectField>
      {preset.address ? (
        <Field
          label={preset.address.isRequired ? "Address" : "Address (optional)"}
          type="url"
          inputMode="url"
          required={preset.address.isRequired}
          placeholder={preset.address.placeholder}
          value={address}
          onChange={(event) => setAddress(event.target.value)}
          hint={preset.address.hint}
          problem={given !== "" && !isPlaced ? "An address begins with https:// or http://." : undefined}
        />
      ) : null}
    </ConnectForm>
  );
}
