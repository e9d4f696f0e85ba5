// The rules of the running config: what each looks for, and how it does.
import { TextInput } from "@mantine/core";
import { useEffect, useRef } from "react";

import { type Rule, useGet } from "../api/client";
import { count } from "../lib/format";
import { change, to, usePlace } from "../lib/router";
import { useWords, word } from "../lib/words";
import { yaml } from "../lib/yaml";
import { Ago } from "../parts/Ago";
import { Link } from "../parts/Link";
import { Head } from "../parts/Panel";
import { Severity } from "../parts/Severity";
import { Answer, Empty } from "../parts/States";
import { Copy, Raw } from "../parts/Text";

export default function Rules() {
  const t = useWords();
  const { query } = usePlace();
  const rules = useGet("/api/v1/rules", {}, {}, { every: 30_000 });
  const text = (query.get("text") ?? "").toLowerCase();
  const open = query.get("rule");
  return (
    <>
      <Head title={t.rooms.rules}>
        {rules.data !== undefined && <span className="muted">{t.rules.number(rules.data.length)}</span>}
      </Head>
      <Answer of={rules} rows={8}>
        {(all) => {
          if (all.length === 0) return <Empty>{t.rules.none}</Empty>;
          const fit = all.filter((rule) => `${rule.id} ${rule.class} ${rule.description ?? ""}`.toLowerCase().includes(text));
          return (
            <>
              <div className="filters" role="search" aria-label={t.filters.label}>
                <TextInput
                  className="filter-text"
                  label={t.filters.text}
                  value={query.get("text") ?? ""}
                  onChange={(event) => change({ text: event.currentTarget.value }, "replace")}
                />
              </div>
              {fit.length === 0 && (
                <Empty action={<Link href={to(["rules"])}>{t.filters.clear}</Link>}>{t.findings.noneFit}</Empty>
              )}
              <ul className="rules">
                {fit.map((rule) => (
                  <One key={rule.id} rule={rule} open={rule.id === open} />
                ))}
              </ul>
            </>
          );
        }}
      </Answer>
    </>
  );
}

function One({ rule, open }: { rule: Rule; open: boolean }) {
  const t = useWords();
  const place = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (open) place.current?.scrollIntoView({ block: "nearest" });
  }, [open]);
  const state = rule.errors > 0 ? "P1" : rule.enabled ? "ok" : "unknown";
  const definition = yaml(rule.definition);
  return (
    <li ref={place}>
      <details
        open={open}
        onToggle={(event) => {
          const now = event.currentTarget.open;
          if (now !== open) change({ rule: now ? rule.id : null }, "replace");
        }}
      >
        <summary>
          <Severity of={rule.severity} />
          <b className="rule-name">
            <Raw>{rule.id}</Raw>
          </b>
          <span className="rule-on mono" translate="no">
            {rule.on}
          </span>
          <Severity of={state}>
            {rule.errors > 0 ? t.rules.errors(count(rule.errors)) : rule.enabled ? t.rules.runs : t.rules.off}
          </Severity>
          <span className="muted">
            {t.rules.found(count(rule.findings))}
            {rule.last_fired_at != null && (
              <>
                {" · "}
                <Ago at={rule.last_fired_at} />
              </>
            )}
          </span>
        </summary>
        <div className="stack">
          {rule.description != null && (
            <p>
              <Raw>{rule.description}</Raw>
            </p>
          )}
          {rule.last_error != null && (
            <p className="note failed">
              <Raw>{rule.last_error}</Raw> {rule.last_error_at != null && <Ago at={rule.last_error_at} />}
            </p>
          )}
          <p className="muted">
            {t.rules.tells(word(t.finality, rule.deliver))}
            {rule.chains.length > 0 && (
              <>
                {" · "}
                {t.rooms.chains}: <Raw>{rule.chains.join(", ")}</Raw>
              </>
            )}
          </p>
          <pre className="code" translate="no" tabIndex={0} aria-label={t.rules.definition}>
            {definition}
          </pre>
          <div className="row">
            <Link className="btn" href={to(["findings"], { source: `rule/${rule.id}` })}>
              {t.rules.findings}
            </Link>
            <Copy text={definition}>{t.rules.copy} </Copy>
          </div>
        </div>
      </details>
    </li>
  );
}
