// The Responses API through the official SDK, unchanged.
import assert from "node:assert/strict";
import OpenAI, { APIError, AuthenticationError, InternalServerError, RateLimitError } from "openai";
import {
  BASE_URL, FAILING_MODEL, LIMITED_MODEL, MODEL, OPTIONS, PNG, REASONING_MODEL, TOKEN,
  anywhere, broken, call, collect, failure, gate, reply, scripted, text, thought, translated,
} from "./server.mjs";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: TOKEN, ...OPTIONS });
const WEATHER = {
  type: "function",
  name: "get_weather",
  description: "Tells the weather of a city.",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  strict: true,
};

const PATCH = "*** Begin Patch\n+say \"hi\" \\ 😀\n*** End Patch";
const APPLY_PATCH = {
  type: "custom",
  name: "apply_patch",
  description: "Edits files.",
  format: { type: "grammar", syntax: "lark", definition: 'start: "*** Begin Patch" /(.|\\n)+/ "*** End Patch"' },
};

anywhere("an answer in one piece", async () => {
  const answer = await client.responses.create({ model: MODEL, input: "Say hello.", max_output_tokens: 64 });
  assert.equal(answer.object, "response");
  assert.ok(["completed", "incomplete"].includes(answer.status));
  assert.ok(answer.id && answer.model && answer.created_at > 0);
  assert.ok(answer.output_text.length > 0);
  assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
  assert.equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens);
});

scripted("a streamed answer, event by event", async (fake) => {
  await fake.answers(reply(text("Word for word.")));
  const events = await collect(await client.responses.create({ model: MODEL, input: fake.question, stream: true }));
  assert.equal(events[0].type, "response.created");
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
  const said = events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta);
  assert.equal(said.join(""), "Word for word.");
  const last = events.at(-1);
  assert.equal(last.type, "response.completed");
  assert.equal(last.response.output.at(-1).content[0].text, "Word for word.");
  assert.ok(last.response.usage.output_tokens > 0);
});

scripted("the SDK's own collector gives the whole answer", async (fake) => {
  await fake.answers(reply(text("All of it.")));
  const answer = await client.responses.stream({ model: MODEL, input: fake.question }).finalResponse();
  assert.equal(answer.output_text, "All of it.");
});

scripted("instructions and a conversation reach the model", async (fake) => {
  await fake.answers(reply(text("Three.")));
  const input = [
    { role: "user", content: "Count: one." },
    { role: "assistant", content: "Two." },
    { role: "user", content: [{ type: "input_text", text: fake.question }] },
  ];
  const answer = await client.responses.create({ model: MODEL, instructions: "Talk like a pirate.", input });
  assert.equal(answer.output_text, "Three.");
  const [{ body }] = await fake.asked();
  for (const words of ["Talk like a pirate.", "Count: one.", "Two."]) assert.ok(JSON.stringify(body).includes(words), words);
});

scripted("tools, called and answered", async (fake) => {
  await fake.answers(reply(call("get_weather", { city: "Graz" })), reply(text("It rains in Graz.")));
  const input = [{ role: "user", content: fake.question }];
  const first = await client.responses.create({ model: MODEL, input, tools: [WEATHER] });
  const toolCall = first.output.find(({ type }) => type === "function_call");
  assert.equal(toolCall.name, "get_weather");
  assert.deepEqual(JSON.parse(toolCall.arguments), { city: "Graz" });
  input.push(toolCall, { type: "function_call_output", call_id: toolCall.call_id, output: "rain, 12 degrees" });
  const second = await client.responses.create({ model: MODEL, input, tools: [WEATHER] });
  assert.equal(second.output_text, "It rains in Graz.");
  const asked = await fake.asked();
  assert.ok(JSON.stringify(asked[1].body).includes("rain, 12 degrees"));
});

scripted("a tool in a streamed answer", async (fake) => {
  await fake.answers(reply(call("get_weather", { city: "Linz" })));
  const body = { model: MODEL, input: fake.question, tools: [WEATHER], stream: true };
  const events = await collect(await client.responses.create(body));
  const pieces = events.filter(({ type }) => type === "response.function_call_arguments.delta").map(({ delta }) => delta);
  assert.deepEqual(JSON.parse(pieces.join("")), { city: "Linz" });
  const done = events.find(({ type, item }) => type === "response.output_item.done" && item.type === "function_call");
  assert.equal(done.item.name, "get_weather");
});

translated("a tool of a free form, streamed and answered", async (fake) => {
  await fake.answers(reply(call("apply_patch", { input: PATCH })), reply(text("Changed.")));
  const input = [{ role: "user", content: fake.question }];
  const events = await collect(client.responses.stream({ model: MODEL, input, tools: [APPLY_PATCH] }));
  const pieces = events.filter(({ type }) => type === "response.custom_tool_call_input.delta").map(({ delta }) => delta);
  assert.equal(pieces.join(""), PATCH);
  assert.equal(events.find(({ type }) => type === "response.custom_tool_call_input.done").input, PATCH);
  const { item } = events.find(({ type }) => type === "response.output_item.done");
  assert.deepEqual([item.type, item.name, item.input], ["custom_tool_call", "apply_patch", PATCH]);
  assert.deepEqual(events.at(-1).response.output.map(({ type }) => type), ["custom_tool_call"]);
  input.push(item, { type: "custom_tool_call_output", call_id: item.call_id, output: "Done: a.txt" });
  const second = await client.responses.create({ model: MODEL, input, tools: [APPLY_PATCH] });
  assert.equal(second.output_text, "Changed.");
  const asked = await fake.asked();
  assert.ok(JSON.stringify(asked[1].body).includes("Done: a.txt"));
});

scripted("a picture reaches the model", async (fake) => {
  await fake.answers(reply(text("One pixel.")));
  const picture = { type: "input_image", image_url: `data:image/png;base64,${PNG}`, detail: "auto" };
  const content = [{ type: "input_text", text: fake.question }, picture];
  const answer = await client.responses.create({ model: MODEL, input: [{ role: "user", content }] });
  assert.equal(answer.output_text, "One pixel.");
  const [{ body }] = await fake.asked();
  assert.ok(JSON.stringify(body).includes(PNG));
});

scripted("reasoning is summed up", async (fake) => {
  await fake.answers(reply(thought("Hmm, two and two."), text("Four.")), reply(thought("Hmm, two and two."), text("Four.")));
  const body = { model: REASONING_MODEL, input: fake.question, reasoning: { effort: "low", summary: "auto" } };
  const whole = await client.responses.create(body);
  assert.equal(whole.output_text, "Four.");
  const reasoning = whole.output.find(({ type }) => type === "reasoning");
  assert.equal(reasoning.summary.map((part) => part.text).join(""), "Hmm, two and two.");
  const events = await collect(await client.responses.create({ ...body, stream: true }));
  const summary = events.filter(({ type }) => type === "response.reasoning_summary_text.delta").map(({ delta }) => delta);
  assert.equal(summary.join(""), "Hmm, two and two.");
});

anywhere("a wrong token is an authentication error", async () => {
  const stranger = new OpenAI({ baseURL: BASE_URL, apiKey: "not-a-token", ...OPTIONS });
  await assert.rejects(stranger.responses.create({ model: MODEL, input: "Hello?" }), AuthenticationError);
});

anywhere("an unknown model is refused by its name", async () => {
  const asking = client.responses.create({ model: "no-such-model-anywhere", input: "Hello?" });
  await assert.rejects(asking, (error) => [400, 404].includes(error.status) && error.code === "model_not_found");
});

scripted("a rate limit says when to come back", async (fake) => {
  await fake.answers(failure(429, "rate_limit_exceeded", { "retry-after": "7" }));
  const asking = client.responses.create({ model: LIMITED_MODEL, input: fake.question });
  await assert.rejects(asking, (error) => error instanceof RateLimitError && Number(error.headers.get("retry-after")) >= 1);
});

scripted("an overloaded vendor is a server error", async (fake) => {
  await fake.answers(failure(503, "overloaded"));
  await assert.rejects(client.responses.create({ model: FAILING_MODEL, input: fake.question }), InternalServerError);
});

scripted("an error in the middle of a stream ends it with that error", async (fake) => {
  await fake.answers(broken());
  const stream = await client.responses.create({ model: FAILING_MODEL, input: fake.question, stream: true });
  const types = [];
  let thrown = null;
  try {
    for await (const event of stream) types.push(event.type);
  } catch (error) {
    thrown = error;
  }
  assert.ok(types.includes("response.output_text.delta"));
  // The SDK hands one form of the event on and throws the other.
  assert.ok(thrown instanceof APIError || ["error", "response.failed"].includes(types.at(-1)), `${thrown} ${types}`);
  assert.ok(!types.includes("response.completed"));
});

scripted("whoever stops listening stops the model", async (fake) => {
  await fake.answers(reply(text("So "), gate(fake.gate), text("long.")));
  const stream = await client.responses.create({ model: MODEL, input: fake.question, stream: true });
  for await (const event of stream) if (event.type === "response.output_text.delta") break;
  await fake.until("the model noticed", ([request]) => request?.outcome === "disconnected");
});
