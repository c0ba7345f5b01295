import { useParams } from "@tanstack/react-router";
import { ChatPage } from "@/features/chat/ChatPage.tsx";
import { useLead } from "./lead.ts";

export function OpenChat() {
  const { chatId } = useParams({ from: "/shell/chats/$chatId" });
  return <ChatPage key={chatId} chatId={chatId} lead={useLead()} />;
}
