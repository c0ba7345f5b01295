import { type McpAuthType, mcpCallbackPath, type McpServer } from "@/api/mcp.ts";
import { Button } from "@/components/Button.tsx";
import { CopyButton } from "@/components/CopyButton.tsx";
import { Field } from "@/components/Field.tsx";
import { SelectField } from "@/components/SelectField.tsx";
import { AUTH_TYPES, authTypesFor } from "@/lib/mcp.ts";
import { HeaderFields } from "./HeaderFields.tsx";
import { SecretField } from "./SecretField.tsx";
import type { ServerDraft } from "./useServerDraft.ts";

interface AuthFieldsProps {
  server: McpServer | undefined;
  draft: ServerDraft;
}

const callback = (id: string) => window.location.origin + mcpCallbackPath(id);

/** How the server learns who asks. */
export function AuthFields({ server, draft }: AuthFieldsProps) {
  const { fields, set, problems } = draft;
  const stored = server?.auth_type === fields.auth_type ? server : undefined;
  return (
    <div className="space-y-4">
      <SelectField label="Kind" hint={AUTH_TYPES[fields.auth_type].text} value={fields.auth_type} onChange={(event) => set({ auth_type: event.target.value as McpAuthType })}>
        {authTypesFor(server?.auth_type).map((kind) => (
          <option key={kind} value={kind}>
            {AUTH_TYPES[kind].name}
          </option>
        ))}
      </SelectField>
      {fields.auth_type === "api_key" ? (
        <div className="grid items-start gap-4 sm:grid-cols-2">
          <Field label="Header" autoComplete="off" spellCheck={false} required value={fields.api_key_header} onChange={(event) => set({ api_key_header: event.target.value })} />
          <SecretField
            key={String(stored?.has_api_key)}
            label="Value"
            isStored={stored?.has_api_key === true}
            value={fields.api_key_value}
            problem={problems.api_key_value}
            hint="Exactly as it is to be sent, such as Bearer and the key. Never shown again."
            onChange={(api_key_value) => set({ api_key_value })}
          />
        </div>
      ) : null}
      {fields.auth_type === "custom_headers" ? (
        <HeaderFields headers={fields.headers} problem={problems.headers} canKeep={stored?.has_custom_headers === true} onChange={(headers) => set({ headers })} />
      ) : null}
      {fields.auth_type === "oauth2" ? <ClientFields server={stored} isNew={server === undefined} draft={draft} /> : null}
    </div>
  );
}

/** Tandem as a client of the place where accounts live. */
function ClientFields({ server, isNew, draft: { fields, set, problems } }: AuthFieldsProps & { isNew: boolean }) {
  const hasSecret = server?.has_oauth2_secret === true;
  return (
    <>
      <p className="text-sm text-muted">
        {isNew ? "Leave all of it empty first: most servers tell by themselves where accounts live, and Tandem registers with them." : "Another address or client id signs everybody out of the server."}
      </p>
      <div className="grid items-start gap-4 sm:grid-cols-2">
        <Field label="Client id" autoComplete="off" spellCheck={false} value={fields.oauth2_client_id} onChange={(event) => set({ oauth2_client_id: event.target.value })} problem={problems.oauth2_client_id} />
        {fields.removesClientSecret ? (
          <div role="group" aria-label="Client secret">
            <p className="mb-1.5 text-sm font-medium">Client secret</p>
            <div className="flex min-h-10 flex-wrap items-center gap-2">
              <span className="text-sm text-muted">Is removed when you save</span>
              <Button look="quiet" onClick={() => set({ removesClientSecret: false })}>
                Keep it
              </Button>
            </div>
          </div>
        ) : (
          <SecretField
            key={String(hasSecret)}
            label="Client secret"
            isStored={hasSecret}
            value={fields.oauth2_client_secret}
            problem={problems.oauth2_client_secret}
            hint="Empty for clients without one. Never shown again."
            onChange={(oauth2_client_secret) => set({ oauth2_client_secret })}
            onRemove={() => set({ removesClientSecret: true, oauth2_client_secret: "" })}
          />
        )}
        <Field label="Authorization address" type="url" inputMode="url" autoComplete="off" spellCheck={false} value={fields.oauth2_auth_url} onChange={(event) => set({ oauth2_auth_url: event.target.value })} problem={problems.oauth2_auth_url} />
        <Field label="Token address" type="url" inputMode="url" autoComplete="off" spellCheck={false} value={fields.oauth2_token_url} onChange={(event) => set({ oauth2_token_url: event.target.value })} problem={problems.oauth2_token_url} />
        <Field label="Scopes" autoComplete="off" spellCheck={false} value={fields.oauth2_scopes} onChange={(event) => set({ oauth2_scopes: event.target.value })} hint="Separated by spaces." />
      </div>
      {server ? (
        <div className="text-sm">
          <p className="mb-1.5 text-muted">Where the client has to allow browsers to come back to:</p>
          <p className="flex items-center justify-between gap-2 rounded-md border border-line bg-sunken py-1 pr-1 pl-3">
            <code className="min-w-0 font-mono text-[13px] wrap-anywhere">{callback(server.id)}</code>
            <CopyButton text={callback(server.id)} label="Copy the address" />
          </p>
        </div>
      ) : null}
    </>
  );
}
