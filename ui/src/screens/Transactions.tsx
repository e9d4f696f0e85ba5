// The way into the inspector: a hash, or one of the transactions in which something was found.
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";

import { useGet } from "../api/client";
import { go, to } from "../lib/router";
import { useWords } from "../lib/words";
import { Ago } from "../parts/Ago";
import { Link } from "../parts/Link";
import { Head, Panel } from "../parts/Panel";
import { Rows } from "../parts/Rows";
import { Severity } from "../parts/Severity";
import { AllGood, Answer, Empty } from "../parts/States";
import { Hex, Raw } from "../parts/Text";

export default function Transactions() {
  const t = useWords();
  const chains = useGet("/api/v1/chains", {});
  const recent = useGet("/api/v1/findings", {}, { status: "active,held,resolved", text: "\"tx\":\"0x", limit: 200 });
  return (
    <>
      <Head title={t.rooms.tx} />
      <div className="stack">
        <Panel title={t.tx.inspect}>
          <Answer of={chains}>
            {(all) =>
              all.length === 0 ? <Empty>{t.overview.noChains}</Empty> : <Form chains={all.map((chain) => chain.chain)} />
            }
          </Answer>
        </Panel>
        <Panel title={t.tx.flagged}>
          <Answer of={recent} rows={6}>
            {(page) => {
              const items = page.items.filter((finding) => finding.position?.tx != null);
              if (items.length === 0) return <AllGood>{t.tx.noneFlagged}</AllGood>;
              return (
                <Rows
                  label={t.tx.flagged}
                  items={items}
                  id={(finding) => finding.id}
                  className="findings"
                  columns={[
                    { name: t.columns.severity, className: "c-severity", cell: (finding) => <Severity of={finding.severity} /> },
                    {
                      name: t.tx.one,
                      className: "c-where",
                      cell: ({ position }) =>
                        position?.tx == null ? "–" : <Hex value={position.tx} href={to(["tx", position.chain, position.tx])} />,
                    },
                    {
                      name: t.columns.what,
                      className: "c-what",
                      cell: (finding) => (
                        <Link href={to(["findings", finding.id])}>
                          <Raw>{finding.title}</Raw>
                        </Link>
                      ),
                    },
                    { name: t.columns.when, className: "c-when number", cell: (finding) => <Ago at={finding.seen_at} /> },
                  ]}
                />
              );
            }}
          </Answer>
        </Panel>
      </div>
    </>
  );
}

function Form({ chains }: { chains: string[] }) {
  const t = useWords();
  const [chain, setChain] = useState(chains[0] ?? "");
  const [hash, setHash] = useState("");
  const text = hash.trim().toLowerCase();
  const fits = /^0x[0-9a-f]{64}$/.test(text);
  return (
    <form
      className="filters"
      onSubmit={(event) => {
        event.preventDefault();
        if (fits) go(to(["tx", chain, text]));
      }}
    >
      {chains.length > 1 && (
        <NativeSelect label={t.chain.one} value={chain} onChange={(event) => setChain(event.currentTarget.value)} data={chains} />
      )}
      <TextInput
        className="filter-text"
        label={t.tx.hash}
        placeholder="0x…"
        value={hash}
        spellCheck={false}
        autoComplete="off"
        error={text !== "" && !fits ? t.tx.noHash : undefined}
        onChange={(event) => setHash(event.currentTarget.value)}
      />
      <Button type="submit" disabled={!fits}>
        {t.tx.open}
      </Button>
    </form>
  );
}
