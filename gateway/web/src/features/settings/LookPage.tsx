import { Choice } from "@/components/Choice.tsx";
import { usePrefs } from "@/data/prefs.ts";
import { Section } from "./Section.tsx";

export function LookPage() {
  const { theme, density, set } = usePrefs();
  return (
    <>
      <Section title="Theme">
        <Choice label="Theme" value={theme} onChange={(value) => set({ theme: value })} options={[["system", "As the system"], ["light", "Light"], ["dark", "Dark"]]} />
      </Section>
      <Section title="Density" text="How close the chats in the list stand.">
        <Choice label="Density" value={density} onChange={(value) => set({ density: value })} options={[["comfortable", "Comfortable"], ["compact", "Compact"]]} />
      </Section>
    </>
  );
}
