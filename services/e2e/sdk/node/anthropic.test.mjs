// Messages, token counts and models through the official SDK, unchanged.
import assert from "node:assert/strict";
import Anthropic, { APIError, APIUserAbortError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError, RateLimitError } from "@anthropic-ai/sdk";
import {
  BASE_URL, FAILING_MODEL, LIMITED_MODEL, MODEL, OPTIONS, PNG, REASONING_MODEL, TOKEN,
  anywhere, broken, call, collect, failure, gate, reply, scripted, text, thought, turns,
} from "./server.mjs";

const client = new Anthropic({ baseURL: BASE_URL, apiKey: TOKEN, ...OPTIONS });
const WEATHER = {
  name: "get_weather",
  description: "Tells the weather of a city.",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const ROOM = { model: MODEL, max_tokens: 256 };

const user = (content) => ({ role: "user", content });
const words = (events) => events.map((event) => (event.delta?.type === "text_delta" ? event.delta.text : "")).join("");

anywhere("an answer in one piece", async () => {
  const answer = await client.messages.create({ ...ROOM, messages: [user("Say hello.")] });
  assert.equal(answer.type, "message");
  assert.equal(answer.role, "assistant");
  assert.ok(answer.id && answer.model);
  assert.equal(answer.content[0].type, "text");
  assert.ok(answer.content[0].text.length > 0);
  assert.ok(["end_turn", "max_tokens"].includes(answer.stop_reason));
  assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
});

anywhere("the header for keys and the version that earlier SDKs send are as good", async () => {
  const defaultHeaders = { "x-api-key": TOKEN, authorization: null, "anthropic-version": "2023-06-01" };
  const earlier = new Anthropic({ baseURL: BASE_URL, apiKey: TOKEN, defaultHeaders, ...OPTIONS });
  const answer = await earlier.messages.create({ ...ROOM, temperature: 0.5, messages: [user("Say hello.")] });
  assert.equal(answer.type, "message");
});

anywhere("a streamed answer, event by event", async () => {
  const events = await collect(await client.messages.create({ ...ROOM, messages: [user("Say hello to the world.")], stream: true }));
  const types = events.map(({ type }) => type);
  assert.equal(types[0], "message_start");
  assert.deepEqual(types.slice(-2), ["message_delta", "message_stop"]);
  for (const type of ["content_block_start", "content_block_delta", "content_block_stop"]) assert.ok(types.includes(type), type);
  assert.ok(words(events).length > 0);
  const delta = events.at(-2);
  assert.ok(["end_turn", "max_tokens"].includes(delta.delta.stop_reason));
  assert.ok(delta.usage.output_tokens > 0);
});

scripted("words arrive as the model says them", async (fake) => {
  await fake.answers(reply(text("Here "), gate(fake.gate), text("it is.")));
  const stream = await client.messages.create({ ...ROOM, messages: [user(fake.question)], stream: true });
  const iterator = stream[Symbol.asyncIterator]();
  let said = "";
  while (said !== "Here ") said += words([(await iterator.next()).value]);
  await fake.openGate();
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) said += words([next.value]);
  assert.equal(said, "Here it is.");
});

scripted("the SDK's own collector gives the whole answer", async (fake) => {
  await fake.answers(reply(text("All of it.")));
  const message = await client.messages.stream({ ...ROOM, messages: [user(fake.question)] }).finalMessage();
  assert.deepEqual(message.content.map((block) => block.text), ["All of it."]);
  assert.equal(message.stop_reason, "end_turn");
  assert.ok(message.usage.output_tokens > 0);
});

scripted("instructions reach the model, as text and as blocks", async (fake) => {
  await fake.answers(reply(text("Aye.")), reply(text("Aye.")));
  const blocks = [{ type: "text", text: "Talk like a pirate.", cache_control: { type: "ephemeral" } }];
  for (const system of ["Talk like a pirate.", blocks]) {
    const answer = await client.messages.create({ ...ROOM, system, messages: [user(fake.question)] });
    assert.equal(answer.content[0].text, "Aye.");
  }
  const asked = await fake.asked();
  assert.equal(asked.length, 2);
  for (const { body } of asked) assert.ok(JSON.stringify(body).includes("Talk like a pirate."));
});

scripted("a conversation keeps its turns", async (fake) => {
  await fake.answers(reply(text("Three.")));
  const messages = [user("Count: one."), { role: "assistant", content: "Two." }, user([{ type: "text", text: fake.question }])];
  const answer = await client.messages.create({ ...ROOM, messages });
  assert.equal(answer.content[0].text, "Three.");
  const [{ body }] = await fake.asked();
  assert.deepEqual(turns(body), ["user", "assistant", "user"]);
});

scripted("where to stop reaches the model or is refused, never passed over", async (fake) => {
  await fake.answers(reply(text("Fine.")));
  const asking = client.messages.create({ ...ROOM, messages: [user(fake.question)], stop_sequences: ["END OF TEXT"] });
  const refused = await asking.then(() => null, (error) => error);
  const asked = await fake.asked();
  if (refused) {
    assert.ok(refused instanceof BadRequestError && refused.message.includes("stop_sequences"), refused.message);
    assert.equal(asked.length, 0);
  } else {
    assert.ok(JSON.stringify(asked[0].body).includes("END OF TEXT"));
  }
});

scripted("tools, called and answered", async (fake) => {
  await fake.answers(reply(text("Let me look."), call("get_weather", { city: "Graz" })), reply(text("It rains in Graz.")));
  const messages = [user(fake.question)];
  const first = await client.messages.create({ ...ROOM, messages, tools: [WEATHER], tool_choice: { type: "auto" } });
  assert.equal(first.stop_reason, "tool_use");
  const [said, use] = first.content;
  assert.equal(said.text, "Let me look.");
  assert.equal(use.type, "tool_use");
  assert.equal(use.name, "get_weather");
  assert.deepEqual(use.input, { city: "Graz" });
  messages.push({ role: "assistant", content: first.content });
  messages.push(user([{ type: "tool_result", tool_use_id: use.id, content: "rain, 12 degrees" }]));
  const second = await client.messages.create({ ...ROOM, messages, tools: [WEATHER] });
  assert.equal(second.content[0].text, "It rains in Graz.");
  const asked = await fake.asked();
  assert.ok(JSON.stringify(asked[1].body).includes("rain, 12 degrees"));
});

scripted("two tools in one streamed answer", async (fake) => {
  await fake.answers(reply(call("get_weather", { city: "Graz" }), call("get_weather", { city: "Linz" })), reply(text("Both wet.")));
  const messages = [user(fake.question)];
  const first = await client.messages.stream({ ...ROOM, messages, tools: [WEATHER] }).finalMessage();
  assert.equal(first.stop_reason, "tool_use");
  assert.deepEqual(first.content.map(({ type, input }) => [type, input.city]), [["tool_use", "Graz"], ["tool_use", "Linz"]]);
  assert.notEqual(first.content[0].id, first.content[1].id);
  const results = first.content.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: [{ type: "text", text: "rain" }] }));
  messages.push({ role: "assistant", content: first.content }, user(results));
  const second = await client.messages.stream({ ...ROOM, messages, tools: [WEATHER] }).finalMessage();
  assert.equal(second.content[0].text, "Both wet.");
});

scripted("a picture reaches the model", async (fake) => {
  await fake.answers(reply(text("One pixel.")));
  const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
  const answer = await client.messages.create({ ...ROOM, messages: [user([picture, { type: "text", text: fake.question }])] });
  assert.equal(answer.content[0].text, "One pixel.");
  const [{ body }] = await fake.asked();
  assert.ok(JSON.stringify(body).includes(PNG));
});

scripted("thoughts come with a proof, which is taken back", async (fake) => {
  await fake.answers(reply(thought("Hmm, two and two."), call("get_weather", { city: "Graz" })), reply(thought("Wet."), text("Rain.")));
  const body = { model: REASONING_MODEL, max_tokens: 4096, thinking: { type: "enabled", budget_tokens: 1024 }, tools: [WEATHER] };
  const messages = [user(fake.question)];
  const first = await client.messages.create({ ...body, messages });
  const [thinking, use] = first.content;
  assert.equal(thinking.type, "thinking");
  assert.equal(thinking.thinking, "Hmm, two and two.");
  assert.equal(typeof thinking.signature, "string");
  messages.push({ role: "assistant", content: first.content });
  messages.push(user([{ type: "tool_result", tool_use_id: use.id, content: "rain" }]));
  const second = await client.messages.stream({ ...body, messages }).finalMessage();
  assert.deepEqual(second.content.map((block) => block.thinking ?? block.text), ["Wet.", "Rain."]);
});

anywhere("a wrong key is an authentication error", async () => {
  const stranger = new Anthropic({ baseURL: BASE_URL, apiKey: "not-a-token", ...OPTIONS });
  const asking = stranger.messages.create({ ...ROOM, messages: [user("Hello?")] });
  await assert.rejects(asking, (error) => error instanceof AuthenticationError && error.error.error.type === "authentication_error");
});

anywhere("an unknown model is not found", async () => {
  const asking = client.messages.create({ ...ROOM, model: "no-such-model-anywhere", messages: [user("Hello?")] });
  await assert.rejects(asking, (error) => error instanceof NotFoundError && error.error.error.type === "not_found_error");
});

anywhere("a conversation without messages is a bad request", async () => {
  const asking = client.messages.create({ ...ROOM, messages: [] });
  await assert.rejects(asking, (error) => error instanceof BadRequestError && error.error.error.type === "invalid_request_error");
});

scripted("a rate limit says when to come back", async (fake) => {
  await fake.answers(failure(429, "rate_limit_exceeded", { "retry-after": "7" }));
  const asking = client.messages.create({ ...ROOM, model: LIMITED_MODEL, messages: [user(fake.question)] });
  await assert.rejects(asking, (error) => {
    const wait = Number(error.headers.get("retry-after"));
    return error instanceof RateLimitError && error.error.error.type === "rate_limit_error" && wait >= 1 && wait <= 7;
  });
});

scripted("an overloaded vendor is a server error", async (fake) => {
  await fake.answers(failure(503, "overloaded"));
  const asking = client.messages.create({ ...ROOM, model: FAILING_MODEL, messages: [user(fake.question)] });
  await assert.rejects(asking, (error) => error instanceof InternalServerError && [503, 529].includes(error.status));
});

scripted("an error in the middle of a stream ends it with that error", async (fake) => {
  await fake.answers(broken());
  const stream = await client.messages.create({ ...ROOM, model: FAILING_MODEL, messages: [user(fake.question)], stream: true });
  let said = "";
  const reading = async () => {
    for await (const event of stream) said += words([event]);
  };
  await assert.rejects(reading(), (error) => error instanceof APIError && error.message.includes("error"));
  assert.ok(said.startsWith("one"), said);
});

scripted("whoever stops listening stops the model", async (fake) => {
  await fake.answers(reply(text("So "), gate(fake.gate), text("long.")));
  const stream = await client.messages.create({ ...ROOM, messages: [user(fake.question)], stream: true });
  for await (const event of stream) if (words([event])) break;
  await fake.until("the model noticed", ([request]) => request?.outcome === "disconnected");
});

scripted("an aborted request is the client's own doing", async (fake) => {
  await fake.answers({ ...reply(text("Late.")), pace: { headers_gate: fake.gate } });
  const controller = new AbortController();
  const asking = client.messages.create({ ...ROOM, messages: [user(fake.question)] }, { signal: controller.signal });
  asking.catch(() => {});
  await fake.until("the model was asked", (asked) => asked.length === 1);
  controller.abort();
  await assert.rejects(asking, APIUserAbortError);
  await fake.until("the model noticed", ([request]) => request.outcome === "disconnected");
});

anywhere("tokens are counted", async () => {
  const short = await client.messages.countTokens({ model: MODEL, messages: [user("Hello.")] });
  assert.ok(short.input_tokens > 0);
  const long = await client.messages.countTokens({
    model: MODEL, system: "Talk like a pirate.", tools: [WEATHER], messages: [user("Hello. ".repeat(100))],
  });
  assert.ok(long.input_tokens > short.input_tokens);
});

anywhere("models are listed and looked up", async () => {
  const models = await collect(client.models.list());
  assert.ok(models.some(({ id }) => id === MODEL), `${MODEL} in ${models.map(({ id }) => id).join(", ")}`);
  const model = await client.models.retrieve(MODEL);
  assert.equal(model.id, MODEL);
  assert.equal(model.type, "model");
  assert.ok(model.display_name.length > 0);
  await assert.rejects(client.models.retrieve("no-such-model-anywhere"), NotFoundError);
});
