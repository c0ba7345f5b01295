// D50: the page is reloaded in the middle of an answer, again and again. What it shows is always the beginning of what will be stored,
// never a word less than this page has shown before, and in the end all of it.
import assert from "node:assert/strict";
import { FakeLlm, gate, reply, text } from "./fake-llm.mjs";
import { useFake } from "./prepare.mjs";
import { stage } from "./stage.mjs";
import { words as wordsOf, transcript } from "./transcript.mjs";
import { until } from "./until.mjs";

/** Reloads for each of TANDEM_DRILL_ROUNDS. */
const RELOADS = 10;
const ROUNDS = Number(process.env.TANDEM_DRILL_ROUNDS ?? 1);
const WORDS = 600;
/** Between two deltas, so that a page is loaded while words come. */
const PACE_MS = 2;
const WORD = /w\d{4}/g;

let reader;
let fake;
/** How many words the page has shown one after another, by when it was loaded. */
let loads = new Map();
let strange = [];
const scene = stage(async (set) => {
  fake = set.with(await FakeLlm.start());
  reader = await set.visitor();
  await useFake(reader, await set.tandem.link(), fake);
  await reader.page.exposeFunction("tellShown", (loaded, shown) => {
    const numbers = (shown.match(WORD) ?? []).map((word) => Number(word.slice(1)));
    if (numbers.some((number, place) => number !== place)) strange.push(shown.slice(0, 2_000));
    loads.set(loaded, [...(loads.get(loaded) ?? []), numbers.length]);
  });
  await reader.page.addInitScript(() => {
    let last = "";
    const look = () => {
      const shown = document.querySelector("[role=log]")?.innerText ?? "";
      if (shown !== last) window.tellShown(performance.timeOrigin, shown);
      last = shown;
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
});

/** Numbered words as a model would set them: paragraphs, lists, code, a table. */
function story() {
  const word = (number) => `w${String(number).padStart(4, "0")}`;
  const blocks = [
    (some) => `${some[0]} **${some[1]} ${some[2]}** ${some.slice(3).join(" ")}.`,
    (some) => some.map((one) => `- ${one}`).join("\n"),
    (some) => `\`\`\`js\n${some.join(";\n")};\n\`\`\``,
    (some) => `| a | b |\n|---|---|\n${some.map((one, place) => (place % 2 === 0 ? `| ${one} ` : `| ${one} |\n`)).join("")}`,
  ];
  const parts = [];
  for (let first = 0; first < WORDS; first += 12) {
    const some = Array.from({ length: 12 }, (_, place) => word(first + place));
    parts.push(blocks[(first / 12) % blocks.length](some));
  }
  return `${parts.join("\n\n")}\n`;
}

/** Ascending places of a text, random but for the seed. */
function places(seed, count, length) {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const found = new Set();
  while (found.size < count) found.add(1 + Math.floor(random() * (length - 1)));
  return [...found].toSorted((a, b) => a - b);
}

const whole = (piece) => (piece.match(WORD) ?? []).length;
const shown = async () => whole(await reader.conversation());

for (let round = 0; round < ROUNDS; round += 1) {
  const seed = Number(process.env.TANDEM_SEED ?? Date.now() % 1_000_000) + round;
  scene(`an answer that is reloaded at ${RELOADS} places is a prefix of what is stored, and then the same (seed ${seed})`, async () => {
    const answer = story();
    const cuts = places(seed, RELOADS, answer.length);
    const pieces = [0, ...cuts].map((from, place) => answer.slice(from, cuts[place] ?? answer.length));
    const gates = cuts.map((cut) => `at-${seed}-${cut}`);
    const items = pieces.flatMap((piece, place) => (place < gates.length ? [text(piece), gate(gates[place])] : [text(piece)]));
    const question = `Tell me story ${seed}`;
    await fake.script(question, { ...reply(...items), pace: { between_ms: PACE_MS } });
    [loads, strange] = [new Map(), []];
    const chatId = await reader.startChat(question);
    for (const [place, name] of gates.entries()) {
      const least = whole(answer.slice(0, cuts[place]));
      await until(`${least} words are shown`, async () => (await shown()) >= least);
      // Every other time words come while the page is loaded; else it must show again what it has shown, with nothing new to help.
      if (place % 2 === 0) await fake.open(name);
      await reader.page.reload();
      await until(`${least} words are shown again`, async () => (await shown()) >= least);
      if (place % 2 !== 0) await fake.open(name);
    }
    await reader.answered(chatId);
    const stored = await transcript(reader, chatId);
    assert.deepEqual(stored, [`user: ${question}`, `assistant: ${answer}`]);
    assert.equal(await shown(), WORDS, "the page does not show all that is stored");
    assert.deepEqual(strange, [], "what was shown is not the beginning of what is stored");
    assert.ok(loads.size > RELOADS, `only ${loads.size} pages were seen`);
    for (const lengths of loads.values()) {
      assert.deepEqual(lengths, lengths.toSorted((a, b) => a - b), "words went away");
    }
    assert.equal(wordsOf(stored.at(-1)), answer);
    assert.equal((await fake.completions()).filter((asked) => JSON.stringify(asked.body.messages).includes(question)).length, 1, "the model was asked again");
    await reader.page.reload();
    await reader.answered(chatId);
    assert.equal(await shown(), WORDS);
  });
}
