// A chat as its durable messages tell it, in lines a person can compare.

const part = (piece) => (piece.type === "text" ? piece.text : `[${[piece.type, piece.tool_name].filter(Boolean).join(" ")}]`);

/** Such as "user: Hello" or "assistant: Looking. [tool-call execute]", oldest first. */
export async function transcript(visitor, chatId) {
  const { messages } = await visitor.get(`/api/v1/chats/${chatId}/messages?limit=200`);
  return messages.toReversed().map((message) => `${message.role}: ${message.content.map(part).join(" ")}`);
}

/** A line without its role. */
export const words = (line) => line.slice(line.indexOf(": ") + 2);

/** How often `words` occur in `text`. */
export const times = (text, words) => text.split(words).length - 1;

/** The letters and digits of a text: what is left of Markdown once it is drawn, however it is drawn. */
export const essence = (text) => text.replaceAll(/[^\p{L}\p{N}]+/gu, "");

/** The essence of the last line that has any. Above it drawing may add words, such as the name of a block's language. */
export const lastLine = (text) => text.split("\n").map(essence).filter(Boolean).at(-1) ?? "";
