import { NewChatPage } from "@/features/chat/NewChatPage.tsx";
import { useLead } from "./lead.ts";

export function NewChat() {
  return <NewChatPage lead={useLead()} />;
}
