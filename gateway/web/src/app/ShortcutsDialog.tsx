import { Dialog } from "@/components/Dialog.tsx";
import { Kbd } from "@/components/Kbd.tsx";

const isMac = () => /Mac|iPhone|iPad/.test(navigator.userAgent);

const GROUPS: readonly { name: string; keys: readonly (readonly [string, string])[] }[] = [
  {
    name: "Anywhere",
    keys: [
      ["mod K", "Search chats and actions"],
      ["N", "New chat"],
      ["/", "Search the list"],
      ["I", "Write a message"],
      ["J K", "Next, previous chat; in a conversation, message"],
      ["Esc", "Stop the agent"],
      ["?", "These shortcuts"],
    ],
  },
  {
    name: "On a chat in the list",
    keys: [
      ["Enter", "Open"],
      ["F2", "Rename"],
      ["P", "Pin or unpin"],
      ["E", "Archive or restore"],
    ],
  },
  {
    name: "Writing",
    keys: [
      ["Enter", "Send, or queue while the agent works"],
      ["Shift Enter", "New line"],
      ["/", "Commands, in an empty field"],
      ["↑", "Earlier prompts, in an empty field"],
    ],
  },
  { name: "On the handle of a waiting message", keys: [["↑ ↓", "Move it"]] },
];

export default function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog label="Keyboard shortcuts" onClose={onClose}>
      <div className="p-5">
        <h2 className="font-semibold">Keyboard shortcuts</h2>
        {GROUPS.map((group) => (
          <section key={group.name} className="mt-4">
            <h3 className="mb-1 text-xs text-faint">{group.name}</h3>
            <dl className="divide-y divide-line">
              {group.keys.map(([keys, what]) => (
                <div key={keys} className="flex items-center justify-between gap-4 py-1.5 text-sm">
                  <dt>{what}</dt>
                  <dd className="flex gap-1">
                    {keys.split(" ").map((key) => (
                      <Kbd key={key}>{key === "mod" ? (isMac() ? "⌘" : "Ctrl") : key}</Kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
