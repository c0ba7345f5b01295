import { useState } from "react";
import { hostOf, withoutSlash } from "@/lib/address.ts";
import { Field } from "../Field.tsx";
import { ConnectForm } from "./ConnectForm.tsx";
import { DetectedServers } from "./DetectedServers.tsx";

/** Any server that speaks the OpenAI protocol: one found on this machine, or one given by address. */
export function ServerForm({ onDone }: { onDone: () => void }) {
  const [url, setUrl] = useState("");
  const [key, setKey] = useState("");
  const baseUrl = withoutSlash(url);
  const host = hostOf(baseUrl);
  const slug = (host ?? "").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "");
  const target = host && slug ? { type: "openai-compat", name: slug, displayName: host, baseUrl, apiKey: key.trim() } : null;
  return (
    <div className="space-y-5">
      <DetectedServers onDone={onDone} />
      <ConnectForm target={target} preferred={[]} onDone={onDone}>
        <Field
          label="Base URL"
          type="url"
          inputMode="url"
          placeholder="http://127.0.0.1:8080/v1"
          value={url}
          onChange={(event) => setUrl(event.target.value)}
          hint="The address that ends in /v1, as the server itself can reach it."
        />
        <Field
          label="API key (if it wants one)"
          type="password"
          autoComplete="off"
          spellCheck={false}
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
      </ConnectForm>
    </div>
  );
}
