import { createContext, useContext, useState } from "react";

/** What the reader opened or closed by hand, by row: it outlives the row's being scrolled out of view. */
export const OpenedContext = createContext<Map<string, boolean>>(new Map());

export function useOpened(key: string, byItself: boolean): [boolean, (open: boolean) => void] {
  const remembered = useContext(OpenedContext);
  const [chosen, setChosen] = useState(() => remembered.get(key));
  const set = (open: boolean) => {
    remembered.set(key, open);
    setChosen(open);
  };
  return [chosen ?? byItself, set];
}
