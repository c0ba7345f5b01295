import { afterEach, describe, expect, it, vi } from "vitest";
import { downscale, fitWithin, MAX_IMAGE_BYTES } from "./image.ts";

const picture = (type = "image/png", size = 10) => new File([new Uint8Array(size)], "shot.png", { type });

/** A browser whose pictures have this size and whose canvas writes this many bytes, one number per attempt. */
function browser(width: number, height: number, ...written: number[]) {
  const close = vi.fn<() => void>();
  vi.stubGlobal("createImageBitmap", async () => ({ width, height, close }));
  const canvas = {
    width: 0,
    height: 0,
    getContext: () => ({ drawImage: () => undefined, fillRect: () => undefined }),
    toBlob: (done: (blob: Blob) => void, type: string) => done(new Blob([new Uint8Array(written.shift() ?? 1)], { type })),
  };
  vi.spyOn(document, "createElement").mockReturnValue(canvas as unknown as HTMLElement);
  return { canvas, close };
}

afterEach(() => vi.unstubAllGlobals());

describe("fitting a picture", () => {
  it.each([
    [4032, 3024, 2000, 1500],
    [1000, 8000, 250, 2000],
    [2000, 2000, 2000, 2000],
    [640, 480, 640, 480],
    [100_000, 1, 2000, 1],
  ])("%i × %i becomes %i × %i", (width, height, w, h) => expect(fitWithin({ width, height }, 2_000)).toEqual({ width: w, height: h }));
});

describe("scaling a picture down", () => {
  it("draws a large one smaller and says so", async () => {
    const { canvas, close } = browser(4_000, 2_000, 5);
    const { file, change } = await downscale(picture());
    expect(change).toEqual({ from: { width: 4_000, height: 2_000 }, to: { width: 2_000, height: 1_000 } });
    expect([canvas.width, canvas.height, file.size, file.name, file.type]).toEqual([2_000, 1_000, 5, "shot.png", "image/png"]);
    expect(close).toHaveBeenCalled();
  });

  it("leaves small ones, moving ones and other files alone", async () => {
    browser(800, 600);
    for (const file of [picture(), picture("image/gif"), picture("application/pdf")]) expect(await downscale(file)).toEqual({ file, change: null });
  });

  it("writes a heavy one as JPEG", async () => {
    browser(4_000, 2_000, MAX_IMAGE_BYTES + 1, 7);
    const { file } = await downscale(picture());
    expect([file.name, file.type, file.size]).toEqual(["shot.jpg", "image/jpeg", 7]);
  });

  it("leaves what the browser cannot read as it is", async () => {
    vi.stubGlobal("createImageBitmap", async () => Promise.reject(new Error("no picture")));
    const file = picture();
    expect(await downscale(file)).toEqual({ file, change: null });
  });
});
