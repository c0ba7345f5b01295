// Words for the state of workspaces, and their drafts. Pure.
import { ApiError, describe } from "@/api/problem.ts";
import type { TemplateParameter, TemplateSpec, Workspace, WorkspaceBuild } from "@/api/workspaces.ts";

export const isMoving = ({ status }: Workspace): boolean => status === "starting" || status === "stopping" || status === "deleting";

export const isUnderWay = ({ status }: WorkspaceBuild): boolean => status === "pending" || status === "running";

export interface StateWords {
  text: string;
  tone: "ok" | "busy" | "quiet" | "warn" | "danger";
}

const STATUS: Record<Workspace["status"], StateWords> = {
  running: { text: "Running", tone: "ok" },
  starting: { text: "Starting", tone: "busy" },
  stopping: { text: "Stopping", tone: "busy" },
  deleting: { text: "Being deleted", tone: "busy" },
  stopped: { text: "Stopped", tone: "quiet" },
  failed: { text: "Failed", tone: "danger" },
};

/** How a workspace stands. One that runs and cannot be reached is no good, and says so. */
export function stateOf({ status, agent, backend }: Workspace): StateWords {
  if (status !== "running") return STATUS[status];
  if (agent.status === "disconnected") return { text: backend === "external" ? "Its host is offline" : "Not to be reached", tone: "warn" };
  if (agent.status === "connecting") return { text: backend === "external" ? "Waits for its host" : "Connecting", tone: "warn" };
  return STATUS.running;
}

export const BACKENDS: Record<TemplateSpec["backend"], { name: string; text: string }> = {
  local: { name: "This machine", text: "A directory of its own, shut in, where Tandem runs." },
  external: { name: "A host of the user's own", text: "Its owner runs an agent there, which dials in." },
  kubernetes: { name: "Kubernetes", text: "A pod for each, where the deployment has a cluster." },
};

const TRANSITIONS: Record<WorkspaceBuild["transition"], string> = { start: "Start", stop: "Stop", delete: "Deletion" };
const REASONS: Record<WorkspaceBuild["reason"], string> = { user: "", chat: "by a chat", idle: "because nobody used it" };
const STARTUPS: Partial<Record<NonNullable<WorkspaceBuild["startup"]>, string>> = {
  failed: "the startup script failed",
  timeout: "the startup script took too long",
  unknown: "how the startup script ended is not known",
};

/** Such as `Start by a chat: failed`. */
export function buildText(build: WorkspaceBuild): string {
  const what = [TRANSITIONS[build.transition], REASONS[build.reason]].filter(Boolean).join(" ");
  const startup = build.startup && STARTUPS[build.startup];
  return `${what}: ${build.status}${startup ? `, ${startup}` : ""}`;
}

const HOUR_MS = 3_600_000;
const MAX_HOURS = 720;

/** Hours as a person types them, as milliseconds; empty is never. `null`: not to be read. */
export function ttlOf(hours: string): number | null {
  if (hours.trim() === "") return 0;
  const value = Number(hours);
  return Number.isFinite(value) && value >= 0 && value <= MAX_HOURS ? Math.round(value * HOUR_MS) : null;
}

export const hoursText = (ms: number): string => (ms === 0 ? "" : String(Math.round((ms / HOUR_MS) * 100) / 100));

const PARAMETER = "parameters.";

/** The parameters whose values a start was refused for; none where it was refused for anything else. */
export function refusedParameters(error: unknown): string[] {
  if (!(error instanceof ApiError) || error.status !== 400) return [];
  const fields = error.violations.map(({ field }) => field);
  return fields.every((field) => field.startsWith(PARAMETER)) ? fields.map((field) => field.slice(PARAMETER.length)) : [];
}

/** Such as `Region is required`, for each value that a start was refused for; otherwise what the server says. */
export function refusalText(error: unknown, parameters: readonly TemplateParameter[]): string {
  if (!(error instanceof ApiError) || refusedParameters(error).length === 0) return describe(error);
  return error.violations
    .map(({ field, detail }) => {
      const name = field.slice(PARAMETER.length);
      return `${parameters.find((parameter) => parameter.name === name)?.display_name || name} ${detail}.`;
    })
    .join(" ");
}

/** What a field for a parameter begins with: the value so far, unless the template offers it no more. */
export function firstValue({ name, type, options, default: preset = "" }: TemplateParameter, current: Readonly<Record<string, string>>): string {
  const value = current[name] ?? preset;
  if (options.length > 0) return [value, preset].find((one) => options.some((option) => option.value === one)) ?? "";
  return type === "bool" && value !== "true" ? "false" : value;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** `NAME=value` lines. The text of a problem where a line is none. */
export function environmentOf(text: string): Record<string, string> | string {
  const found: Record<string, string> = {};
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    const cut = line.indexOf("=");
    const name = line.slice(0, cut).trim();
    if (cut < 0 || !NAME.test(name)) return `“${line.slice(0, 40)}” is not NAME=value.`;
    found[name] = line.slice(cut + 1);
  }
  return found;
}

export const environmentText = (environment: Readonly<Record<string, string>>): string =>
  Object.entries(environment)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n");

/** What people write as JSON: parameters and presets. The text of a problem where it is none. */
export function choicesOf(text: string): Pick<TemplateSpec, "parameters" | "presets"> | string {
  let value: unknown;
  try {
    value = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    return "This is not JSON.";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "This has to be an object with “parameters” and “presets”.";
  const { parameters = [], presets = [], ...rest } = value as Partial<Pick<TemplateSpec, "parameters" | "presets">>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) return `“${unknown}” is neither “parameters” nor “presets”.`;
  if (!Array.isArray(parameters) || !Array.isArray(presets)) return "“parameters” and “presets” have to be lists.";
  return { parameters, presets };
}

export const choicesText = ({ parameters, presets }: Pick<TemplateSpec, "parameters" | "presets">): string =>
  parameters.length + presets.length === 0 ? "" : JSON.stringify({ parameters, presets }, null, 2);

export const EMPTY_SPEC: TemplateSpec = { backend: "local", environment: {}, startup_script: "", startup_timeout_ms: 0, default_ttl_ms: 0, parameters: [], presets: [] };
