// What a tokenizer calls a token, and how that looks. A handful of looks is enough to read by. Pure.

export type Look = "comment" | "keyword" | "string" | "number" | "type" | "name" | "property" | "meta" | "added" | "removed";

const WORDS: Record<Look, string> = {
  comment: "comment lineComment blockComment docComment",
  keyword: "keyword controlKeyword operatorKeyword definitionKeyword moduleKeyword modifier self qualifier",
  string: "string string-2 character regexp escape attributeValue url link special",
  number: "number integer float literal atom bool null unit color",
  type: "typeName className namespace type variable-3 tagName tag",
  name: "def builtin standard header heading labelName label",
  property: "property propertyName attribute attributeName",
  meta: "meta annotation processingInstruction documentMeta macroName hr",
  added: "inserted positive",
  removed: "deleted negative",
};

const LOOK_OF = new Map<string, Look>();
for (const [look, words] of Object.entries(WORDS) as [Look, string][]) {
  for (const word of words.split(" ")) LOOK_OF.set(word, look);
}

const cache = new Map<string, Look | null>();

/** Styles are few and repeat for every token, so each is read once. They look like `keyword`, `variableName.definition` or `string property`. */
export function lookOf(style: string | null | undefined): Look | null {
  if (!style) return null;
  const known = cache.get(style);
  if (known !== undefined) return known;
  const look = read(style);
  cache.set(style, look);
  return look;
}

function read(style: string): Look | null {
  const words = style.split(" ");
  if (words.some((word) => LOOK_OF.get(word) === "property")) return "property";
  for (const word of words) {
    const [base = "", ...modifiers] = word.split(".");
    if (base === "variableName" || base === "variable") {
      if (modifiers.some((m) => m === "definition" || m === "function" || m === "standard")) return "name";
      continue;
    }
    const look = LOOK_OF.get(base);
    if (look !== undefined) return look;
  }
  return null;
}
