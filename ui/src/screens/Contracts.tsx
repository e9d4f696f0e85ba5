// The watched contracts: what each is used for and costs, at a glance.
import { TextInput } from "@mantine/core";

import { useGet } from "../api/client";
import { change, to, usePlace } from "../lib/router";
import { useWords } from "../lib/words";
import { Link } from "../parts/Link";
import { Head } from "../parts/Panel";
import { Rows } from "../parts/Rows";
import { Answer, Empty } from "../parts/States";
import { Hex, Raw } from "../parts/Text";

export default function Contracts() {
  const t = useWords();
  const { query } = usePlace();
  const text = (query.get("text") ?? "").toLowerCase();
  const contracts = useGet("/api/v1/contracts", {});
  return (
    <>
      <Head title={t.rooms.contracts} />
      <Answer of={contracts} rows={5}>
        {(all) => {
          if (all.length === 0) return <Empty>{t.contracts.none}</Empty>;
          const fit = all.filter((one) => `${one.name} ${one.address}`.toLowerCase().includes(text));
          return (
            <>
              {all.length > 10 && (
                <div className="filters" role="search" aria-label={t.filters.label}>
                  <TextInput
                    className="filter-text"
                    label={t.filters.text}
                    value={query.get("text") ?? ""}
                    onChange={(event) => change({ text: event.currentTarget.value }, "replace")}
                  />
                </div>
              )}
              {fit.length === 0 ? (
                <Empty action={<Link href={to(["contracts"])}>{t.filters.clear}</Link>}>{t.findings.noneFit}</Empty>
              ) : (
                <Rows
                  label={t.rooms.contracts}
                  items={fit}
                  id={(one) => one.name}
                  className="contracts"
                  columns={[
                    {
                      name: t.contracts.name,
                      className: "c-name",
                      cell: (one) => (
                        <Link href={to(["contracts", one.name])}>
                          <Raw>{one.name}</Raw>
                        </Link>
                      ),
                    },
                    { name: t.chain.one, className: "c-word", cell: (one) => <Raw>{one.chain}</Raw> },
                    { name: t.contracts.address, className: "c-hash", cell: (one) => <Hex value={one.address} /> },
                    {
                      name: t.contracts.labels,
                      className: "c-what",
                      cell: (one) =>
                        Object.entries(one.labels).map(([name, value]) => (
                          <span key={name} className="chip">
                            <Raw>{`${name}: ${value}`}</Raw>
                          </span>
                        )),
                    },
                  ]}
                />
              )}
            </>
          );
        }}
      </Answer>
    </>
  );
}
