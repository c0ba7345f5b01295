// Workspaces, in which agents work, and the templates they are made from.
import { call } from "./client.ts";

export type WorkspaceStatus = "stopped" | "starting" | "running" | "stopping" | "deleting" | "failed";
export type Backend = "local" | "external" | "kubernetes";

export interface WorkspaceBuild {
  id: string;
  number: number;
  transition: "start" | "stop" | "delete";
  status: "pending" | "running" | "succeeded" | "failed" | "canceled";
  /** Who wanted it. */
  reason: "user" | "chat" | "idle";
  error?: string;
  error_code?: string;
  /** How the startup script ended; absent where there is none. */
  startup?: "succeeded" | "failed" | "timeout" | "unknown";
  /** Only in lists of builds. */
  log?: string;
  created_at: string;
  started_at?: string;
  finished_at?: string;
}

export interface WorkspaceAgent {
  /** `connecting`: not seen yet. `resting`: starts when it is needed. `none`: the workspace does not run. */
  status: "connected" | "connecting" | "disconnected" | "resting" | "none";
  has_token?: boolean;
  disconnected_at?: string;
}

export interface Workspace {
  id: string;
  name: string;
  owner_id: string;
  owner_username: string;
  template_id: string;
  template_name: string;
  backend: Backend;
  status: WorkspaceStatus;
  /** Why it failed. */
  status_message?: string;
  parameters: Record<string, string>;
  /** 0: never stopped for being idle. */
  ttl_ms: number;
  /** When it is stopped unless somebody uses it. */
  stops_at?: string;
  agent: WorkspaceAgent;
  latest_build?: WorkspaceBuild;
  created_at: string;
  last_used_at: string;
}

export interface TemplateParameter {
  name: string;
  type: "string" | "number" | "bool" | "list";
  required: boolean;
  mutable: boolean;
  display_name: string;
  description: string;
  default?: string;
  options: { name: string; value: string; description: string }[];
}

export interface TemplatePreset {
  id: string;
  name: string;
  description: string;
  default: boolean;
  parameters: Record<string, string>;
}

/** Amounts as Kubernetes writes them; empty: a default. */
export interface PodSpec {
  image: string;
  cpu: string;
  memory: string;
  home_size: string;
}

export interface TemplateSpec {
  backend: Backend;
  kubernetes?: PodSpec;
  environment: Record<string, string>;
  startup_script: string;
  startup_timeout_ms: number;
  default_ttl_ms: number;
  parameters: TemplateParameter[];
  presets: TemplatePreset[];
}

export interface Template {
  id: string;
  name: string;
  display_name: string;
  description: string;
  readme: string;
  deprecated: boolean;
  /** Every organisation's `local`. */
  built_in: boolean;
  /** Starts take workspaces to the active version. */
  require_active_version: boolean;
  active_version_number: number;
  active_developers: number;
  spec: TemplateSpec;
  updated_at: string;
}

export interface NewWorkspace {
  template_id: string;
  name?: string;
  parameters?: Readonly<Record<string, string>>;
  preset_id?: string;
}

export interface AgentToken {
  token: string;
  url: string;
  /** What to run on the host. */
  command: string;
}

/** One way of confining, and whether it is in force. */
export interface Mechanism {
  name: string;
  enforced: boolean;
  detail: string;
}

export type TemplateFields = Partial<Pick<Template, "name" | "display_name" | "description" | "readme" | "deprecated" | "require_active_version">> & { spec?: TemplateSpec };

/** More are found by searching. */
const PAGE = 200;

const at = (id: string) => `/workspaces/${encodeURIComponent(id)}`;
const templateAt = (id: string) => `/templates/${encodeURIComponent(id)}`;

export const listWorkspaces = (q?: string) => call<{ workspaces: Workspace[]; count: number }>("GET", "/workspaces", { query: { q, limit: PAGE } });
export const getWorkspace = (id: string) => call<Workspace>("GET", at(id));
export const createWorkspace = (workspace: NewWorkspace) => call<Workspace>("POST", "/workspaces", { body: workspace });
export const patchWorkspace = (id: string, patch: { name?: string; ttl_ms?: number }) => call<Workspace>("PATCH", at(id), { body: patch });
export const deleteWorkspace = (id: string) => call<unknown>("DELETE", at(id));
/** `parameters`: those that get a new value. */
export const startWorkspace = (id: string, parameters: Readonly<Record<string, string>> = {}) => call<unknown>("POST", `${at(id)}/start`, { body: { parameters } });
export const stopWorkspace = (id: string) => call<unknown>("POST", `${at(id)}/stop`);
export const listBuilds = (id: string) => call<WorkspaceBuild[]>("GET", `${at(id)}/builds`);
export const issueAgentToken = (id: string) => call<AgentToken>("POST", `${at(id)}/agent-token`);
export const getConfinement = (id: string) => call<{ mechanisms: Mechanism[] }>("GET", `${at(id)}/confinement`);

export const listTemplates = () => call<{ templates: Template[]; count: number }>("GET", "/templates", { query: { limit: PAGE } });
export const getTemplate = (id: string) => call<Template>("GET", templateAt(id));
export const createTemplate = (fields: TemplateFields & { name: string; spec: TemplateSpec }) => call<Template>("POST", "/templates", { body: fields });
export const patchTemplate = (id: string, fields: TemplateFields) => call<Template>("PATCH", templateAt(id), { body: fields });
export const deleteTemplate = (id: string) => call<void>("DELETE", templateAt(id));
