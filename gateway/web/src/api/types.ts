// The shapes of Tandem's HTTP and WebSocket interface as this UI uses them. Only data: no behaviour, no defaults.
// Fields the server may leave out are optional; fields that may be null say so. Times are RFC 3339 text.

/** What is asked before a tool runs: nothing, what nobody can tell the effects of, or every change. */
export type ApprovalMode = "never" | "risky" | "always";

export type ChatStatus = "waiting" | "pending" | "running" | "requires_action" | "error";

export interface User {
  id: string;
  username: string;
  name: string;
  email: string;
  organization_ids: string[];
  roles: { name: string }[];
  /** `active` or `suspended`. */
  status?: string;
}

export interface Organization {
  id: string;
  name: string;
  display_name: string;
  is_default: boolean;
}

export interface ChatError {
  message: string;
  detail?: string;
  kind?: string;
  provider?: string;
  retryable: boolean;
  status_code?: number;
}

export interface Chat {
  id: string;
  organization_id: string;
  owner_id: string;
  workspace_id?: string;
  parent_chat_id?: string;
  last_model_config_id: string;
  title: string;
  status: ChatStatus;
  last_error?: ChatError;
  last_turn_summary: string | null;
  created_at: string;
  updated_at: string;
  archived: boolean;
  /** 0 when not pinned, else the 1-based place among the pinned. */
  pin_order: number;
  /** `plan` while the agent only looks and writes a plan. */
  plan_mode?: string;
  /** The chat's own choice, or the operator's where that is stricter. */
  approval_mode: ApprovalMode;
  /** When the wait of `requires_action` ends by itself; absent in every other status. */
  action_expires_at?: string;
  /** Chosen for the chat; those that every chat uses come on top. */
  mcp_server_ids?: string[];
  /** What the model is told of the workspace; only of a chat that is asked for by itself. */
  last_injected_context?: (ContextFilePart | SkillPart)[];
  /** Absent, or without a branch, while no repository is known. */
  diff_status?: DiffStatus;
  labels: Record<string, string>;
  has_unread: boolean;
  children: Chat[];
  /** Only in the answer to creating it. */
  warnings?: string[];
}

/** Where the work of a chat stands in git, and in the pull request of its branch. */
export interface DiffStatus {
  git_branch?: string;
  /** Without credentials. */
  git_remote_origin?: string;
  /** Of the pull request, else of the branch. */
  url?: string;
  pull_request_state?: "open" | "closed" | "merged";
  pull_request_title: string;
  pull_request_draft: boolean;
  changes_requested: boolean;
  additions: number;
  deletions: number;
  changed_files: number;
  base_branch?: string;
  pr_number?: number;
  approved?: boolean;
}

export type Role = "system" | "user" | "assistant" | "tool";

export interface TextPart {
  type: "text";
  text: string;
}
export interface ReasoningPart {
  type: "reasoning";
  text: string;
  created_at?: string;
  completed_at?: string;
}
export interface ToolCallPart {
  type: "tool-call";
  tool_call_id: string;
  tool_name: string;
  args?: unknown;
  /** Only in live parts: the next piece of the JSON text of the arguments. */
  args_delta?: string;
  /** Whose tool it is; absent for Tandem's own. */
  mcp_server_config_id?: string | null;
  provider_executed?: boolean;
  created_at?: string;
}
export interface ToolResultPart {
  type: "tool-result";
  tool_call_id: string;
  tool_name: string;
  result?: unknown;
  /** Only in live parts: the next piece of the output. */
  result_delta?: string;
  /** Only in live parts: the output shown so far is withdrawn. */
  result_reset?: boolean;
  is_error?: boolean;
  is_media?: boolean;
  mcp_server_config_id?: string | null;
  created_at?: string;
}
export interface SourcePart {
  type: "source";
  source_id?: string;
  url: string;
  title?: string;
}
export interface FilePart {
  type: "file";
  media_type: string;
  name?: string;
  file_id?: string;
}
export interface FileReferencePart {
  type: "file-reference";
  file_name: string;
  start_line: number;
  end_line: number;
  content: string;
}
export interface ContextFilePart {
  type: "context-file";
  context_file_path: string;
  context_file_truncated?: boolean;
  /** The workspace's agent found it; absent or `null`: it was added by hand. */
  context_file_agent_id?: string | null;
}
export interface SkillPart {
  type: "skill";
  skill_name: string;
  skill_description?: string;
}
/** A part of a kind this version does not know; kept and shown plainly. */
export interface UnknownPart {
  type: "unknown";
  kind: string;
  raw: unknown;
}

export type MessagePart =
  | TextPart
  | ReasoningPart
  | ToolCallPart
  | ToolResultPart
  | SourcePart
  | FilePart
  | FileReferencePart
  | ContextFilePart
  | SkillPart
  | UnknownPart;

export interface MessageUsage {
  input_tokens?: number;
  output_tokens?: number;
  total_tokens?: number;
  context_limit?: number;
}

export interface ChatMessage {
  id: number;
  chat_id: string;
  model_config_id?: string;
  created_at: string;
  role: Role;
  content?: MessagePart[];
  usage?: MessageUsage;
}

export interface QueuedMessage {
  id: number;
  chat_id: string;
  model_config_id?: string;
  content: MessagePart[] | null;
  created_at: string;
}

export interface MessagesPage {
  messages: ChatMessage[];
  queued_messages: QueuedMessage[];
  has_more: boolean;
}

export type InputPart = { type: "text"; text: string } | { type: "file"; file_id: string } | FileReferencePart;

export type BusyBehavior = "queue" | "interrupt";

export interface SendResult {
  message?: ChatMessage;
  queued_message?: QueuedMessage;
  queued: boolean;
  warnings?: string[];
}

export interface ChatRetry {
  /** Counts from 1. */
  attempt: number;
  delay_ms: number;
  error: string;
  kind?: string;
  provider?: string;
  status_code?: number;
  retrying_at: string;
}

export interface PendingToolCall {
  tool_call_id: string;
  tool_name: string;
  args: string;
  /** A person has to allow it. Absent: the program that started the chat has to run it. */
  approval?: ApprovalRequest;
}

export interface ApprovalRequest {
  /** Hexadecimal SHA-256 of what would run: a decision holds for this alone. */
  digest: string;
  /** `changes`: in ways its arguments show. `unknown`: nobody can tell what it does. */
  risk: "changes" | "unknown";
  /** Why it is asked, in words for people, without a full stop. */
  reason: string;
}

export interface ApprovalDecision {
  tool_call_id: string;
  digest: string;
  decision: "approve" | "decline";
  /** What the model is told; at most 1,024 bytes, only of what is declined. */
  reason?: string;
}

export interface ChatWatchEvent {
  kind: string;
  chat: Chat;
}
