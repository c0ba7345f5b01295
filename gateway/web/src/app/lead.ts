import { createContext, type ReactNode, useContext } from "react";

/** What the shell puts at the start of every page's header. */
export const LeadContext = createContext<ReactNode>(null);
export const useLead = () => useContext(LeadContext);
