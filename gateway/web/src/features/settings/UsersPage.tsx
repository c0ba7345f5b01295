import { Plus } from "lucide-react";
import { useState } from "react";
import { describe } from "@/api/problem.ts";
import { Button } from "@/components/Button.tsx";
import { Dialog } from "@/components/Dialog.tsx";
import { Notice } from "@/components/Notice.tsx";
import { useIsAdministrator, useMe, useUsers } from "@/data/queries.ts";
import { AddUser } from "./AddUser.tsx";
import { LIST, Loading, Section } from "./Section.tsx";
import { UserItem } from "./UserItem.tsx";

export function UsersPage() {
  const { data: me } = useMe();
  const isAdministrator = useIsAdministrator() === true;
  const { data: users, error, isLoading } = useUsers(isAdministrator);
  const [adding, setAdding] = useState(false);
  if (me && !isAdministrator) return <Notice tone="info" title="Only administrators see who else uses this Tandem." />;
  return (
    <Section
      title="Users"
      text="Everybody has chats, files and tokens of their own, and sees nobody else's."
      action={
        <Button onClick={() => setAdding(true)}>
          <Plus size={15} /> Add
        </Button>
      }
    >
      {error ? <Notice tone="danger" title={describe(error)} /> : null}
      <ul className={LIST}>
        {isLoading ? <Loading /> : null}
        {users?.map((user) => <UserItem key={user.id} user={user} isMe={user.id === me?.id} />)}
      </ul>
      {adding ? (
        <Dialog label="Add a user" onClose={() => setAdding(false)}>
          <div className="p-5">
            <h2 className="mb-4 font-semibold">Add a user</h2>
            <AddUser onDone={() => setAdding(false)} />
          </div>
        </Dialog>
      ) : null}
    </Section>
  );
}
