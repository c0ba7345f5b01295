import { FilePlus2, MessageCircle, SquareTerminal } from "lucide-react";
import { Title } from "@/components/Title.tsx";

const EXAMPLES = [
  { icon: SquareTerminal, text: "Run `uname -a` and tell me what it says", hint: "Runs a command in a workspace of its own" },
  { icon: FilePlus2, text: "Create hello.txt with a haiku and show it", hint: "Writes a file and reads it back" },
  { icon: MessageCircle, text: "Explain what you can do", hint: "Just an answer" },
];

interface ExamplesProps {
  isFirst: boolean;
  onPick: (text: string) => void;
}

export function Examples({ isFirst, onPick }: ExamplesProps) {
  return (
    <section aria-label="Examples" className="mt-8">
      <h2 className="mb-2 text-sm text-faint">{isFirst ? "Your first chat could be one of these" : "For example"}</h2>
      <ul className="divide-y divide-line rounded-xl border border-line">
        {EXAMPLES.map(({ icon: Icon, text, hint }) => (
          <li key={text}>
            <button type="button" onClick={() => onPick(text)} className="flex w-full items-center gap-3.5 px-4 py-3 text-left -outline-offset-2 hover:bg-sunken">
              <Icon size={17} className="shrink-0 text-faint" aria-hidden />
              <span className="min-w-0">
                <span className="block text-sm">
                  <Title text={text} />
                </span>
                <span className="block text-xs text-faint">{hint}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
