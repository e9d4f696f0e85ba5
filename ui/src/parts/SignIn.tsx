// Where a server wants a token.
import { Button, PasswordInput } from "@mantine/core";
import { useState } from "react";

import { credentials } from "../api/client";
import { useWords } from "../lib/words";
import { Head, Panel } from "./Panel";

export function SignIn({ wrong }: { wrong: boolean }) {
  const t = useWords();
  const [token, setToken] = useState("");
  return (
    <>
    <Head title={t.signIn.title} />
    <Panel title={t.signIn.token} className="narrow">
      <p>{t.signIn.help}</p>
      <pre translate="no">watchkeeper token create NAME --role operator</pre>
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          credentials.set(token.trim());
        }}
      >
        <PasswordInput
          label={t.signIn.token}
          value={token}
          autoComplete="off"
          onChange={(event) => setToken(event.currentTarget.value)}
          error={wrong ? t.signIn.refused : undefined}
          visibilityToggleButtonProps={{ "aria-label": t.signIn.show }}
        />
        <Button type="submit" disabled={token.trim() === ""}>
          {t.signIn.enter}
        </Button>
      </form>
    </Panel>
    </>
  );
}
