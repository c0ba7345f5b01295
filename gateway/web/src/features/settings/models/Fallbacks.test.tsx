import { fireEvent, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { ModelConfig } from "@/api/modelTypes.ts";
import { draw, serve } from "@/testing/server.tsx";
import { Fallbacks } from "./Fallbacks.tsx";
import { useModelDraft } from "./useModelDraft.ts";

const model = (id: string, change: Partial<ModelConfig> = {}): ModelConfig => ({ id, provider: "openai", ai_provider_id: "p", model: id, display_name: "", enabled: true, is_default: false, context_limit: 1_000, compression_threshold: 70, ...change });

function Form({ of }: { of: ModelConfig }) {
  const draft = useModelDraft(of);
  return (
    <>
      <Fallbacks model={of} draft={draft} />
      <output>{JSON.stringify(draft.patch)}</output>
    </>
  );
}

const open = async (of: ModelConfig, others: ModelConfig[]) => {
  serve({ "GET /chats/model-configs": [of, ...others], "GET /ai/providers": [] });
  draw(<Form of={of} />);
  await screen.findAllByText(/OpenAI|no other model/);
};
const patch = () => JSON.parse(document.querySelector("output")?.textContent ?? "") as unknown;
const offered = () => screen.getAllByRole("option").map((option) => option.textContent);

describe("models to fall back to", () => {
  it("are chosen from the others in use, and put in order", async () => {
    await open(model("a", { model_config: { temperature: 1 } }), [model("b"), model("c"), model("d", { enabled: false })]);
    expect(offered()).toEqual(["None", "b · OpenAI", "c · OpenAI"]);
    fireEvent.change(screen.getByLabelText("Model to ask instead"), { target: { value: "c" } });
    fireEvent.change(screen.getByLabelText("And then"), { target: { value: "b" } });
    expect(patch()).toEqual({ model_config: { temperature: 1, fallbacks: ["c", "b"] } });
    fireEvent.click(screen.getByRole("button", { name: "Ask b earlier" }));
    expect(patch()).toEqual({ model_config: { temperature: 1, fallbacks: ["b", "c"] } });
  });

  it("that are gone can be taken out, and with the last one the option goes", async () => {
    await open(model("a", { model_config: { fallbacks: ["gone"] } }), [model("b")]);
    fireEvent.click(screen.getByRole("button", { name: "Do not ask A model that is gone" }));
    expect(patch()).toEqual({ model_config: {} });
  });

  it("are at most four", async () => {
    await open(model("a", { model_config: { fallbacks: ["b", "c", "d", "e"] } }), ["b", "c", "d", "e", "f"].map((id) => model(id)));
    expect(screen.queryByRole("combobox")).toBeNull();
  });

  it("say so where there is nobody to ask", async () => {
    await open(model("a"), []);
    expect(screen.getByText(/There is no other model in use/)).toBeTruthy();
  });
});
