import { useQuery } from "@tanstack/react-query";
import { Navigate, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { FrontPage } from "@/components/FrontPage.tsx";
import { Spinner } from "@/components/Spinner.tsx";
import { meQuery, setupQuery } from "@/data/queries.ts";
import { CodeStep } from "./CodeStep.tsx";
import { ModelStep } from "./ModelStep.tsx";
import { PasswordStep } from "./PasswordStep.tsx";
import { SpentLink } from "./SpentLink.tsx";
import { StepBar } from "./StepBar.tsx";

type Step = "code" | "password" | "model";

function codeFromAddress(): string {
  return new URLSearchParams(window.location.hash.slice(1)).get("code") ?? "";
}

/** First start: the one-time code, a password, a model. Whoever is already signed in goes on where things are missing. */
export function SetupPage() {
  const navigate = useNavigate();
  const { data: me, isLoading } = useQuery(meQuery);
  const [code] = useState(codeFromAddress);
  const [step, setStep] = useState<Step | null>(null);
  const [isSpent, setSpent] = useState(false);
  const { data: setup } = useQuery({ ...setupQuery, enabled: code === "" });
  const current: Step = step ?? (me && code === "" ? "model" : "code");

  if (isLoading && code === "") {
    return (
      <FrontPage title="Welcome to Tandem">
        <Spinner />
      </FrontPage>
    );
  }
  if (isSpent) {
    return (
      <FrontPage title="Welcome to Tandem" lead={TITLES.code.lead} wide>
        <SpentLink />
      </FrontPage>
    );
  }
  // Nothing is left to set up, and without a code there is nothing to say about one.
  if (step === null && code === "" && !me && setup?.needs_setup === false) return <Navigate to="/login" replace />;
  return (
    <FrontPage title={TITLES[current].title} lead={TITLES[current].lead} wide>
      {current === "code" ? <CodeStep code={code} onDone={() => setStep("password")} onSpent={() => setSpent(true)} /> : null}
      {current === "password" ? <PasswordStep onDone={() => setStep("model")} /> : null}
      {current === "model" ? <ModelStep onDone={() => void navigate({ to: "/" })} /> : null}
      <StepBar step={current === "code" ? 0 : current === "password" ? 1 : 2} steps={["Sign in", "Password", "Model"]} />
    </FrontPage>
  );
}

const TITLES: Record<Step, { title: string; lead: string }> = {
  code: { title: "Welcome to Tandem", lead: "Agents that read, run and edit, in chats that survive everything." },
  password: { title: "Choose a password", lead: "You are signed in as the administrator, admin. With a password you can sign in from anywhere." },
  model: { title: "Choose a model", lead: "Who should answer? You can add more and change your mind in the settings." },
};
