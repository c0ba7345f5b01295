// Parts of the page that nobody needs at first. They are fetched once the page has come to rest, so that they are there when they are
// wanted, also if the server has gone by then.

/** The page has its first words by then, also on a slow line. */
const REST_MS = 1_500;

/** `load` for `React.lazy`: at the latest when it is called, earlier where there was time. What failed before is tried again then. */
export function loadLater<Part>(load: () => Promise<Part>): () => Promise<Part> {
  let part: Promise<Part> | null = null;
  const get = () => {
    part ??= load().catch((error: unknown) => {
      part = null;
      throw error;
    });
    return part;
  };
  setTimeout(() => void get().catch(() => undefined), REST_MS);
  return get;
}
