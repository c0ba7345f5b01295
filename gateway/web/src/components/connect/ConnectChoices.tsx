import { KeyRound, Server, Sparkles, UserRound } from "lucide-react";
import { type ReactNode, useId, useState } from "react";
import { classes } from "@/lib/classes.ts";
import { DemoButton } from "./DemoButton.tsx";
import { KeyForm } from "./KeyForm.tsx";
import { ServerForm } from "./ServerForm.tsx";
import { SignInForm } from "./SignInForm.tsx";

type Way = "key" | "server" | "demo" | "sign-in";

const WAYS: readonly { way: Way; icon: ReactNode; title: string; text: string }[] = [
  { way: "key", icon: <KeyRound size={18} />, title: "Paste an API key", text: "OpenAI, Anthropic, Google, Azure, Bedrock, OpenRouter and others." },
  { way: "server", icon: <Server size={18} />, title: "Use a server of your own", text: "Ollama, llama.cpp, vLLM, LM Studio, or any OpenAI-compatible address." },
  { way: "demo", icon: <Sparkles size={18} />, title: "Try the demo model", text: "Built in and scripted, not a real AI. Needs no key or network, and really runs tools." },
];

/** What no chat can use, so that it is no way to a first model. */
const FOR_PROGRAMS: (typeof WAYS)[number] = {
  way: "sign-in",
  icon: <UserRound size={18} />,
  title: "Let programs bring a sign-in",
  text: "ChatGPT subscriptions and GitHub Copilot, for programs at the AI gateway.",
};

/** In a dialog the last of the ways opens below what is seen. */
const bringIntoView = (opened: HTMLDivElement | null) => opened?.scrollIntoView({ block: "nearest" });

interface ConnectChoicesProps {
  onDone: () => void;
  /** Offers also what only programs can use. */
  offersPrograms?: boolean;
}

/** The ways to get a model, one open at a time. */
export function ConnectChoices({ onDone, offersPrograms = false }: ConnectChoicesProps) {
  const [chosen, setChosen] = useState<Way | null>(null);
  const id = useId();
  return (
    <div className="divide-y divide-line overflow-hidden rounded-xl border border-line bg-raised">
      {(offersPrograms ? [...WAYS, FOR_PROGRAMS] : WAYS).map(({ way, icon, title, text }) => {
        const isOpen = chosen === way;
        return (
          <div key={way}>
            <button
              type="button"
              aria-expanded={isOpen}
              aria-controls={`${id}-${way}`}
              onClick={() => setChosen(isOpen ? null : way)}
              className={classes("flex w-full items-center gap-4 px-5 py-4 text-left transition-colors -outline-offset-2", !isOpen && "hover:bg-sunken")}
            >
              <span className={classes("grid size-9 shrink-0 place-items-center rounded-md", isOpen ? "bg-accent-soft text-accent" : "bg-sunken text-muted")}>
                {icon}
              </span>
              <span className="min-w-0">
                <span className="block font-medium">{title}</span>
                <span className="block text-sm text-muted">{text}</span>
              </span>
            </button>
            {isOpen ? (
              <div id={`${id}-${way}`} ref={bringIntoView} className="appear px-5 pt-1 pb-5 sm:pl-[72px]">
                {way === "key" ? <KeyForm onDone={onDone} /> : null}
                {way === "server" ? <ServerForm onDone={onDone} /> : null}
                {way === "demo" ? <DemoButton onDone={onDone} /> : null}
                {way === "sign-in" ? <SignInForm onDone={onDone} /> : null}
              </div>
            ) : null}
          </div>
        );
      })}
    </div>
  );
}
