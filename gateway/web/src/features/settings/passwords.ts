/** The server takes none that is shorter. */
export const MIN_PASSWORD = 8;
