import { createContext, useContext } from "react";

/** The server's clock minus this device's, in milliseconds. */
export const ClockOffsetContext = createContext(0);
export const useClockOffset = () => useContext(ClockOffsetContext);
