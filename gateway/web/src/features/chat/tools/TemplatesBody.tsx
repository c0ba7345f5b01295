import { list, num, open, str } from "@/lib/open.ts";
import type { ToolRow } from "@/stream/timeline.ts";
import { GenericBody } from "./GenericBody.tsx";

/** The templates that were found, or the one that was read with what it asks for. */
export function TemplatesBody({ row }: { row: ToolRow }) {
  const result = open(row.result);
  const found = list(result["templates"]).map(open);
  if (found.length > 0) {
    return (
      <ul className="divide-y divide-line">
        {found.map((template) => (
          <li key={str(template["id"])} className="px-4 py-2.5">
            <Named template={template} />
          </li>
        ))}
      </ul>
    );
  }
  const template = open(result["template"]);
  if (str(template["name"]) === "") return <GenericBody row={row} />;
  const parameters = list(result["parameters"]).map(open);
  return (
    <div className="px-4 py-3">
      <Named template={template} />
      {parameters.length === 0 ? (
        <p className="mt-2 text-xs text-faint">It has no parameters.</p>
      ) : (
        <dl className="mt-3 space-y-2">
          {parameters.map((parameter) => (
            <div key={str(parameter["name"])}>
              <dt className="font-mono text-[12.5px]">
                {str(parameter["name"])}
                <span className="ml-2 text-xs text-faint">
                  {str(parameter["type"])}
                  {parameter["required"] === true ? ", required" : ""}
                </span>
              </dt>
              <dd className="text-xs text-muted">{str(parameter["description"])}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

function Named({ template }: { template: ReturnType<typeof open> }) {
  const developers = num(template["active_developers"]);
  return (
    <>
      <p>
        {str(template["display_name"]) || str(template["name"])}
        {developers !== null && developers > 0 ? <span className="ml-2 text-xs text-faint">{developers === 1 ? "1 person uses it" : `${String(developers)} people use it`}</span> : null}
      </p>
      {str(template["description"]) === "" ? null : <p className="text-[13px] leading-5 text-muted">{str(template["description"])}</p>}
    </>
  );
}
