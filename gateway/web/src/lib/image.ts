// Makes pictures small enough to be understood and paid for: models scale larger ones down anyway, and refuse the largest.

/** Longest side, in pixels. */
export const MAX_SIDE_PX = 2_000;
/** Providers refuse larger pictures, encoded as they are. */
export const MAX_IMAGE_BYTES = 5 * 1_048_576;
const QUALITY = 0.9;
const SMALLER_QUALITY = 0.8;
/** Formats the browser can write. A moving picture would lose its movement, so GIF is left alone. */
const SCALABLE = new Set(["image/png", "image/jpeg", "image/webp"]);

export interface Size {
  width: number;
  height: number;
}

export interface Scaled {
  file: File;
  /** Before and after; `null` when the picture was left as it was. */
  change: { from: Size; to: Size } | null;
}

/** The largest size of the same shape whose sides are at most `max`; never larger than it was. */
export function fitWithin({ width, height }: Size, max: number): Size {
  const scale = Math.min(1, max / Math.max(width, height, 1));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** A picture that cannot be read or written stays as it is: the server then says what it thinks of it. */
export async function downscale(file: File): Promise<Scaled> {
  if (!SCALABLE.has(file.type)) return { file, change: null };
  try {
    const bitmap = await createImageBitmap(file);
    const from = { width: bitmap.width, height: bitmap.height };
    const to = fitWithin(from, MAX_SIDE_PX);
    const isSmall = to.width === from.width && to.height === from.height;
    const scaled = isSmall && file.size <= MAX_IMAGE_BYTES ? null : await draw(bitmap, to, file);
    bitmap.close();
    return scaled === null ? { file, change: null } : { file: scaled, change: isSmall ? null : { from, to } };
  } catch {
    return { file, change: null };
  }
}

async function draw(bitmap: ImageBitmap, { width, height }: Size, original: File): Promise<File | null> {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return null;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const first = await encode(canvas, original.type, QUALITY);
  if (first === null || first.size <= MAX_IMAGE_BYTES) return first && named(first, original.name);
  // Still too heavy, as screenshots of photographs are: on white, because JPEG knows no transparency.
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, width, height);
  const second = await encode(canvas, "image/jpeg", SMALLER_QUALITY);
  return second && named(second, original.name.replace(/\.\w+$/, "") + ".jpg");
}

function encode(canvas: HTMLCanvasElement, type: string, quality: number): Promise<Blob | null> {
  return new Promise((resolve) => canvas.toBlob(resolve, type, quality));
}

/** Browsers write PNG when they cannot write what was asked for, so the type is the blob's own. */
function named(blob: Blob, name: string): File {
  return new File([blob], name, { type: blob.type });
}
