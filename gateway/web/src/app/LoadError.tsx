import { type ErrorComponentProps, useRouter } from "@tanstack/react-router";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { FrontPage } from "@/components/FrontPage.tsx";
import { Notice } from "@/components/Notice.tsx";

/** Shown in place of the app when it cannot start. */
export function LoadError({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const retry = async () => {
    reset();
    await router.invalidate();
  };
  return (
    <FrontPage title="Tandem cannot be shown">
      <Notice tone="danger" title={describe(error)} actions={<Button onClick={() => void retry()}>Try again</Button>}>
        Nothing is lost: chats go on without this page.
      </Notice>
    </FrontPage>
  );
}
