// Shortcuts to a Tandem that is ready for the scene a test is about. What they skip is tested in newcomer.test.mjs.
import { MODEL } from "./fake-llm.mjs";

export const PASSWORD = "correct horse battery";

/** Signs the first user in and lets the fake LLM answer. */
export async function useFake(visitor, link, fake) {
  visitor.tolerates(/401.*\/api\/v1\/users\/me/);
  await visitor.useLink(link);
  await visitor.choosePassword(PASSWORD);
  const provider = await visitor.post("/api/v1/ai/providers", {
    type: "openai-compat",
    name: "fake",
    display_name: "Fake",
    enabled: true,
    base_url: fake.baseUrl,
    api_keys: [fake.apiKey],
  });
  await visitor.post("/api/v1/chats/model-configs", { ai_provider_id: provider.id, model: MODEL, display_name: MODEL, context_limit: 128_000 });
}

/** Signs the first user in and lets the demo model answer. */
export async function useDemo(visitor, link) {
  visitor.tolerates(/401.*\/api\/v1\/users\/me/);
  await visitor.useLink(link);
  await visitor.choosePassword(PASSWORD);
  await visitor.chooseDemo();
}
