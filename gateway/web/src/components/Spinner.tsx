import { LoaderCircle } from "lucide-react";

export function Spinner({ size = 15 }: { size?: number }) {
  return <LoaderCircle size={size} className="spin shrink-0" aria-hidden />;
}
