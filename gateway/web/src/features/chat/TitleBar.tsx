import { ClipboardCopy, Ellipsis } from "lucide-react";
import type { ReactNode } from "react";
import type { Chat } from "@/api/types.ts";
import { returnToComposer } from "@/components/focus.ts";
import { IconButton } from "@/components/IconButton.tsx";
import { Menu } from "@/components/Menu.tsx";
import { RenameField } from "@/components/RenameField.tsx";
import { Title } from "@/components/Title.tsx";
import { toast } from "@/components/toasts.ts";
import { useChatMenu } from "@/components/useChatMenu.tsx";
import { usePageTitle } from "@/components/usePageTitle.ts";
import { plainTitle } from "@/lib/title.ts";
import { BranchChip } from "./BranchChip.tsx";
import { PanelButton } from "./panel/PanelButton.tsx";

interface TitleBarProps {
  chat: Chat | undefined;
  /** Stands in place of a title when there is no chat; empty while nobody knows yet. */
  fallback: string;
  /** Behind the title: how alive the page is. */
  badge: ReactNode;
  /** Before the title: what the shell puts there, such as the button for the list. */
  lead: ReactNode;
}

export function TitleBar({ chat, fallback, badge, lead }: TitleBarProps) {
  const { entries, isRenaming, setRenaming, dialog } = useChatMenu(chat);
  const endRenaming = (byKey: boolean) => {
    setRenaming(false);
    if (byKey) returnToComposer();
  };
  usePageTitle(chat ? plainTitle(chat.title) : fallback);
  return (
    <header className="flex h-13 shrink-0 items-center gap-2 border-b border-line px-3">
      {lead}
      <div className="flex min-h-8 min-w-0 flex-1 items-center gap-3 pl-1 touch:min-h-11">
        {chat && isRenaming ? <RenameField chat={chat} onDone={endRenaming} className="font-semibold" /> : null}
        {isRenaming ? null : (
          <h1 className="min-w-0 truncate text-sm font-semibold">
            {chat ? (
              <button type="button" title="Rename" className="max-w-full truncate rounded-md px-1 py-0.5 hover:bg-hover touch:min-h-11" onClick={() => setRenaming(true)}>
                <Title text={chat.title} />
              </button>
            ) : (
              fallback || <span role="status" aria-label="Loading" className="block h-4 w-40 rounded bg-hover" />
            )}
          </h1>
        )}
        {badge}
        {chat ? <BranchChip chat={chat} /> : null}
      </div>
      {chat ? <PanelButton /> : null}
      {chat ? (
        <Menu
          trigger={
            <IconButton label="More" tipSide="left">
              <Ellipsis size={17} />
            </IconButton>
          }
          entries={[
            ...entries,
            "separator",
            { label: "Copy chat id", icon: <ClipboardCopy />, onSelect: () => void navigator.clipboard.writeText(chat.id).then(() => toast("Copied")) },
          ]}
        />
      ) : null}
      {dialog}
    </header>
  );
}
