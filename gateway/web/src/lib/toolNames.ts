/** The made-up tool whose call and result mark where the model's memory was replaced. */
export const COMPACTION_TOOL = "chat_summarized";
