import { afterEach, describe, expect, it, vi } from "vitest";
import { call, setSignedOutHandler, socketUrl } from "./client.ts";
import { ApiError, describe as inWords, isNotServed, problemFrom } from "./problem.ts";

function answer(status: number, body: string) {
  const fetched = vi.fn<typeof fetch>(async () => new Response(status === 204 ? null : body, { status }));
  vi.stubGlobal("fetch", fetched);
  return fetched;
}

const failure = async (promise: Promise<unknown>): Promise<ApiError> => {
  const error = await promise.then(
    () => new Error("it succeeded"),
    (e: unknown) => e,
  );
  if (error instanceof ApiError) return error;
  throw error;
};

afterEach(() => {
  vi.unstubAllGlobals();
  setSignedOutHandler(() => undefined);
});

describe("a call", () => {
  it("sends JSON below the API's base path and reads JSON back", async () => {
    const fetched = answer(200, '{"id":"a"}');
    expect(await call("POST", "/chats", { body: { x: 1 }, query: { limit: 5, q: undefined } })).toEqual({ id: "a" });
    const [url, init] = fetched.mock.calls[0] ?? [];
    expect(url).toBe("/api/v1/chats?limit=5");
    expect(init).toMatchObject({ method: "POST", body: '{"x":1}', credentials: "same-origin" });
  });

  it("takes an empty answer for nothing", async () => {
    answer(204, "");
    expect(await call("DELETE", "/chats/x")).toBeUndefined();
  });

  it("turns a refused answer into the server's own words", async () => {
    answer(400, '{"message":"Invalid request.","detail":"","validations":[{"field":"content","detail":"Must not be empty."}]}');
    const error = await failure(call("POST", "/chats"));
    expect(error).toMatchObject({ status: 400, message: "Invalid request.", violations: [{ field: "content", detail: "Must not be empty." }] });
    expect(inWords(error)).toBe("Invalid request. Must not be empty.");
  });

  it("says that the server cannot be reached when the network fails", async () => {
    vi.stubGlobal("fetch", vi.fn<typeof fetch>().mockRejectedValue(new TypeError("Failed to fetch")));
    expect((await failure(call("GET", "/chats"))).isUnreachable).toBe(true);
  });

  it("takes an answer that breaks off for none", async () => {
    const broken = new ReadableStream({ start: (controller) => controller.error(new TypeError("terminated")) });
    vi.stubGlobal("fetch", vi.fn<typeof fetch>(async () => new Response(broken, { status: 200 })));
    expect((await failure(call("POST", "/chats"))).mayHaveHappened).toBe(true);
  });

  it("names what is wanted once, and only then", async () => {
    const fetched = answer(200, "{}");
    await call("POST", "/chats", { body: {}, idempotencyKey: "k1" });
    await call("POST", "/chats", { body: {} });
    expect(fetched.mock.calls.map(([, init]) => new Headers(init?.headers).get("Idempotency-Key"))).toEqual(["k1", null]);
  });

  it("asks for several values of one parameter", async () => {
    const fetched = answer(200, "[]");
    await call("GET", "/chats", { query: { label: ["a:b", "c:d"], q: "" } });
    expect(fetched.mock.calls[0]?.[0]).toBe("/api/v1/chats?label=a%3Ab&label=c%3Ad&q=");
  });

  it("says when a limit ends, and whether a refusal is a missing route", async () => {
    answer(409, '{"message":"The budget is spent.","spent_micros":1,"limit_micros":1,"resets_at":"2026-12-01T00:00:00Z"}');
    const error = await failure(call("POST", "/chats"));
    expect(inWords(error)).toMatch(/^The budget is spent\. The limit resets on .*2026/);
    expect(error).toMatchObject({ spentUp: { spentMicros: 1, limitMicros: 1, resetsAt: "2026-12-01T00:00:00Z" } });
    expect(problemFrom(409, '{"message":"The name is taken."}').spentUp).toBeNull();
    expect([error, new ApiError(404, ""), new ApiError(405, ""), new Error("x")].map(isNotServed)).toEqual([false, true, true, false]);
  });

  it("says so when something in between answers with a page of its own", async () => {
    answer(200, "<html>");
    expect((await failure(call("GET", "/chats"))).message).toContain("could not be read");
    expect(problemFrom(502, "<html>Bad gateway</html>").message).toContain("not ready");
  });

  it("reports that the session is over, except while signing in", async () => {
    const signedOut = vi.fn<() => void>();
    setSignedOutHandler(signedOut);
    answer(401, "{}");
    await failure(call("POST", "/users/login"));
    expect(signedOut).not.toHaveBeenCalled();
    expect((await failure(call("GET", "/users/me"))).message).toBe("You are signed out.");
    expect(signedOut).toHaveBeenCalledOnce();
  });
});

describe("a problem", () => {
  it("is understood in the problem+json form too", () => {
    expect(problemFrom(409, '{"title":"Conflict","detail":"The name is taken."}')).toMatchObject({ message: "Conflict", detail: "The name is taken." });
  });

  it("is not told twice where its fields only repeat it", () => {
    const body = (message: string, ...details: string[]) => JSON.stringify({ message, detail: `slug: ${details[0] ?? ""}`, validations: details.map((detail) => ({ field: "slug", detail })) });
    expect(inWords(problemFrom(400, body("slug: must be short", "must be short")))).toBe("slug: must be short");
    expect(inWords(problemFrom(400, body("Not valid", "must be short", "must be plain")))).toBe("Not valid. must be short must be plain");
  });
});

it("makes WebSocket addresses of the page's own origin", () => {
  expect(socketUrl("/chats/a/stream", { after_cursor: "v1.2", heartbeat: 1 })).toMatch(/^ws:\/\/.*\/api\/v1\/chats\/a\/stream\?after_cursor=v1\.2&heartbeat=1$/);
});
