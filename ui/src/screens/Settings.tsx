// Settings: this browser's, tokens, and where messages go.
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";

import { client, credentials, type MadeToken, send, type Token, useGet } from "../api/client";
import { count, moment } from "../lib/format";
import { type Language, language } from "../lib/language";
import { server } from "../lib/router";
import { type Theme, theme } from "../lib/theme";
import { useWords, word } from "../lib/words";
import { Ago } from "../parts/Ago";
import { Dialog } from "../parts/Dialog";
import { Facts, Head, Panel } from "../parts/Panel";
import { Severity } from "../parts/Severity";
import { Answer, Empty, Failed, Missing } from "../parts/States";
import { Copy, Raw } from "../parts/Text";

const ROLES = ["viewer", "operator", "admin"] as const;

export default function Settings() {
  const t = useWords();
  const me = useGet("/api/v1/me", {});
  const role = me.data?.role ?? "viewer";
  return (
    <>
      <Head title={t.rooms.settings} />
      <div className="stack">
        <Browser />
        <Targets may={role !== "viewer"} />
        <Tokens may={role === "admin"} />
        <Panel title={t.settings.about}>
          <Facts
            of={[
              [t.settings.role, word(t.roles, role)],
              [t.settings.token, me.data?.token == null ? t.settings.noToken : <Raw key="token">{me.data.token}</Raw>],
              [
                t.settings.machine,
                <span key="links" className="row" translate="no">
                  <a href={server("api/openapi.json")}>OpenAPI</a>
                  <a href={server("metrics")}>/metrics</a>
                </span>,
              ],
            ]}
          />
          {credentials.has() && (
            <button type="button" className="btn" onClick={() => credentials.set("")}>
              {t.settings.signOut}
            </button>
          )}
        </Panel>
      </div>
    </>
  );
}

function Browser() {
  const t = useWords();
  return (
    <Panel title={t.settings.browser}>
      <div className="filters">
        <NativeSelect
          label={t.settings.language}
          value={language.use()}
          onChange={(event) => language.set(event.currentTarget.value as Language)}
          data={[
            { value: "en", label: "English" },
            { value: "zh", label: "中文" },
          ]}
        />
        <NativeSelect
          label={t.settings.theme}
          value={theme.use()}
          onChange={(event) => theme.set(event.currentTarget.value as Theme)}
          data={(["system", "dark", "light"] as const).map((value) => ({ value, label: t.themes[value] }))}
        />
      </div>
    </Panel>
  );
}

function Targets({ may }: { may: boolean }) {
  const t = useWords();
  const targets = useGet("/api/v1/targets", {}, {}, { every: 10_000 });
  const [error, setError] = useState<Error | null>(null);
  const dead = targets.data?.reduce((sum, target) => sum + target.dead, 0) ?? 0;
  return (
    <Panel title={t.settings.channels}>
      <Answer of={targets}>
        {(all) =>
          all.length === 0 ? (
            <Empty>{t.settings.noChannels}</Empty>
          ) : (
            <table className="cards">
              <thead>
                <tr>
                  <th>{t.settings.target}</th>
                  <th>{t.settings.kind}</th>
                  <th className="number">{t.messageStates.due}</th>
                  <th className="number">{t.messageStates.dead}</th>
                </tr>
              </thead>
              <tbody>
                {all.map((target) => (
                  <tr key={target.target}>
                    <td>
                      <Raw>{target.target}</Raw>
                    </td>
                    <td translate="no">{target.channel ?? t.settings.gone}</td>
                    <td className="number" data-name={t.messageStates.due}>
                      {count(target.due)}
                      {target.oldest_due_at != null && (
                        <>
                          {" · "}
                          <Ago at={target.oldest_due_at} />
                        </>
                      )}
                    </td>
                    <td className="number" data-name={t.messageStates.dead}>
                      <Severity of={target.dead > 0 ? "P1" : "ok"}>{count(target.dead)}</Severity>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Answer>
      {dead > 0 && (
        <Button
          disabled={!may}
          title={may ? undefined : t.settings.needs(t.roles.operator)}
          onClick={() => {
            setError(null);
            send("POST", "api/v1/outbox/resend")
              .then(() => client.invalidateQueries())
              .catch((failure: unknown) => setError(failure as Error));
          }}
        >
          {t.settings.resend(dead)}
        </Button>
      )}
      {error !== null && <Failed error={error} />}
    </Panel>
  );
}

function Tokens({ may }: { may: boolean }) {
  const t = useWords();
  const tokens = useGet("/api/v1/tokens", {}, {}, { enabled: may });
  const [made, setMade] = useState<MadeToken | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [ending, setEnding] = useState<Token | null>(null);
  if (!may) {
    return (
      <Panel title={t.settings.tokens}>
        <Missing title={t.settings.needs(t.roles.admin)}>
          <pre translate="no">watchkeeper token create NAME --role admin</pre>
        </Missing>
      </Panel>
    );
  }
  return (
    <Panel title={t.settings.tokens}>
      <Answer of={tokens}>
        {(all) =>
          all.length === 0 ? (
            <Empty>{t.settings.noTokens}</Empty>
          ) : (
            <table className="cards">
              <thead>
                <tr>
                  <th>{t.settings.name}</th>
                  <th>{t.settings.role}</th>
                  <th>{t.settings.made}</th>
                  <th>{t.settings.used}</th>
                  <th>{t.settings.ends}</th>
                  <th>
                    <span className="unseen">{t.settings.revoke}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {all.map((token) => (
                  <tr key={token.id} className={token.revoked_at == null ? "" : "retracted"}>
                    <td>
                      <Raw>{token.name}</Raw>
                    </td>
                    <td>{word(t.roles, token.role)}</td>
                    <td data-name={t.settings.made}>
                      <Ago at={token.created_at} />
                    </td>
                    <td data-name={t.settings.used}>{token.last_used_at == null ? "–" : <Ago at={token.last_used_at} />}</td>
                    <td data-name={t.settings.ends}>
                      {token.revoked_at != null ? t.settings.revoked : token.expires_at == null ? t.settings.never : moment(token.expires_at)}
                    </td>
                    <td>
                      {token.revoked_at == null && (
                        <button type="button" className="btn" onClick={() => setEnding(token)}>
                          {t.settings.revoke}
                        </button>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Answer>
      <NewToken
        onMade={(token) => {
          setMade(token);
          setError(null);
          void tokens.refetch();
        }}
        onError={setError}
      />
      {error !== null && <Failed error={error} />}
      <Dialog opened={made !== null} onClose={() => setMade(null)} title={t.settings.secretTitle}>
        <p>{t.settings.secretHelp}</p>
        <pre className="code" translate="no" tabIndex={0}>
          {made?.secret}
        </pre>
        <Copy text={made?.secret ?? ""}>{t.copy} </Copy>
      </Dialog>
      <Dialog opened={ending !== null} onClose={() => setEnding(null)} title={t.settings.revoke}>
        <p>
          {t.settings.revokeHelp} <Raw>{ending?.name ?? ""}</Raw>
        </p>
        <Button
          onClick={() => {
            if (ending === null) return;
            send("DELETE", `api/v1/tokens/${ending.id}`)
              .then(() => tokens.refetch())
              .catch((failure: unknown) => setError(failure as Error))
              .finally(() => setEnding(null));
          }}
        >
          {t.settings.revoke}
        </Button>
      </Dialog>
    </Panel>
  );
}

function NewToken({ onMade, onError }: { onMade: (token: MadeToken) => void; onError: (error: Error) => void }) {
  const t = useWords();
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>("viewer");
  const [days, setDays] = useState("");
  return (
    <form
      className="filters"
      onSubmit={(event) => {
        event.preventDefault();
        const expires_at = days === "" ? null : Date.now() + Number(days) * 86_400_000;
        send<MadeToken>("POST", "api/v1/tokens", { name: name.trim(), role, expires_at })
          .then((token) => {
            setName("");
            onMade(token);
          })
          .catch((failure: unknown) => onError(failure as Error));
      }}
    >
      <TextInput label={t.settings.name} value={name} onChange={(event) => setName(event.currentTarget.value)} />
      <NativeSelect
        label={t.settings.role}
        value={role}
        onChange={(event) => setRole(event.currentTarget.value)}
        data={ROLES.map((value) => ({ value, label: t.roles[value] }))}
      />
      <NativeSelect
        label={t.settings.ends}
        value={days}
        onChange={(event) => setDays(event.currentTarget.value)}
        data={[
          { value: "", label: t.settings.never },
          { value: "30", label: t.settings.days(30) },
          { value: "365", label: t.settings.days(365) },
        ]}
      />
      <Button type="submit" disabled={name.trim() === ""}>
        {t.settings.make}
      </Button>
    </form>
  );
}
