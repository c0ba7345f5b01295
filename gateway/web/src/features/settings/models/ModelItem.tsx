import { Link, useNavigate } from "@tanstack/react-router";
import { Ellipsis, Power, PowerOff, SlidersHorizontal, Star, Trash2 } from "lucide-react";
import type { ReactNode } from "react";
import { patchModel } from "@/api/models.ts";
import type { ModelConfig } from "@/api/modelTypes.ts";
import { Badge } from "@/components/Badge.tsx";
import { IconButton } from "@/components/IconButton.tsx";
import { Menu } from "@/components/Menu.tsx";
import { keys } from "@/data/keys.ts";
import { modelName } from "@/lib/names.ts";
import { priceLine } from "@/lib/prices.ts";
import { useChange } from "../useChange.ts";
import { useRemoveModel } from "./useRemoveModel.ts";

interface ModelItemProps {
  model: ModelConfig;
  providerName: string;
  canChange: boolean;
}

export function ModelItem({ model, providerName, canChange }: ModelItemProps) {
  const { busy, run } = useChange(keys.models);
  const remove = useRemoveModel();
  const navigate = useNavigate();
  const name = modelName(model);
  const text = (
    <>
      <span className="flex items-center gap-2 text-sm font-medium">
        <span className="truncate">{name}</span>
        {model.is_default ? <Badge text="Default" look="accent" /> : null}
        {model.enabled ? null : <Badge text="Off" />}
      </span>
      <span className="block text-xs text-faint">{[providerName, `${model.context_limit.toLocaleString()} tokens of context`, canChange ? priceLine(model.model_config) : ""].filter(Boolean).join(" · ")}</span>
    </>
  );
  if (!canChange) return <li className="px-4 py-2.5">{text}</li>;
  const open = () => void navigate({ to: "/settings/models/$modelId", params: { modelId: model.id } });
  return (
    <Row
      link={
        <Link to="/settings/models/$modelId" params={{ modelId: model.id }} className="block min-w-0 flex-1 rounded-md py-2.5 pl-4 -outline-offset-2 touch:min-h-14">
          {text}
        </Link>
      }
    >
      <Menu
        trigger={
          <IconButton label={`Actions for ${name}`} tipSide="left" disabled={busy}>
            <Ellipsis size={16} />
          </IconButton>
        }
        entries={[
          { label: "Prices and options", icon: <SlidersHorizontal />, onSelect: open },
          { label: "Make default", icon: <Star />, disabled: model.is_default || !model.enabled, onSelect: () => void run(() => patchModel(model.id, { is_default: true })) },
          model.enabled
            ? { label: "Switch off", icon: <PowerOff />, onSelect: () => void run(() => patchModel(model.id, { enabled: false })) }
            : { label: "Switch on", icon: <Power />, onSelect: () => void run(() => patchModel(model.id, { enabled: true })) },
          "separator",
          { label: "Remove", icon: <Trash2 />, danger: true, onSelect: () => void remove(model) },
        ]}
      />
    </Row>
  );
}

/** A row that leads somewhere, with something to do at its end. */
export function Row({ link, children }: { link: ReactNode; children: ReactNode }) {
  return (
    <li className="flex items-center gap-3 pr-2 first:rounded-t-xl last:rounded-b-xl hover:bg-hover">
      {link}
      {children}
    </li>
  );
}
