// What is typed into the search field of the list, as the server's query. Words alone search titles; `key:value` terms filter. Pure.

export interface ChatSearch {
  /** Words without a key, as they may stand in a title. */
  words: string;
  /** The server's query; empty when there is nothing to ask. */
  q: string;
  /** `key:value`, asked for beside the query. */
  labels: readonly string[];
  /** Nothing but words. */
  isPlain: boolean;
}

export interface Filter {
  example: string;
  finds: string;
  /** What is put into the field; a beginning, when a value of one's own has to follow. */
  term: string;
}

/** The filters worth telling people about. */
export const FILTERS: readonly Filter[] = [
  { example: "has_unread:true", term: "has_unread:true", finds: "With news you have not seen" },
  { example: "archived:true", term: "archived:true", finds: "Archived chats" },
  { example: 'title:"release notes"', term: "title:", finds: "With these words in the title" },
  { example: "label:team:storage", term: "label:", finds: "With this label" },
];

/** Keys the server knows. A word with any other key, such as `storage::queue`, is just a word. */
const KEYS = new Set(["archived", "has_unread", "title", "pr_title", "repo", "pr", "pr_status", "diff_url"]);
const QUOTES = /"/g;

export function readSearch(text: string): ChatSearch {
  const words: string[] = [];
  const terms: string[] = [];
  const labels: string[] = [];
  for (const word of wordsOf(text)) {
    const at = word.indexOf(":");
    const key = word.slice(0, Math.max(0, at)).toLowerCase();
    const value = word.slice(at + 1).replace(QUOTES, "");
    if (key === "label") {
      if (/^[^:]+:./.test(value)) labels.push(value);
    } else if (KEYS.has(key)) {
      if (value !== "") terms.push(`${key}:${quoted(value)}`);
    } else words.push(word.replace(QUOTES, ""));
  }
  const plain = words.filter(Boolean).join(" ");
  const hasTitle = terms.some((term) => term.startsWith("title:"));
  const q = [...terms, ...(plain !== "" && !hasTitle ? [`title:"${plain}"`] : [])].join(" ");
  return { words: plain, q, labels, isPlain: terms.length === 0 && labels.length === 0 };
}

/** Adds a term, or takes it out again when it is there. */
export function toggleTerm(text: string, term: string): string {
  const words = wordsOf(text);
  return (words.includes(term) ? words.filter((word) => word !== term) : [...words, term]).join(" ");
}

function quoted(value: string): string {
  return /[\s:]/.test(value) ? `"${value}"` : value;
}

/** Split at white space outside of quotes. */
function wordsOf(text: string): string[] {
  return text.match(/(?:"[^"]*"?|[^\s"])+/g) ?? [];
}
