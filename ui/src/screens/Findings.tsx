// Everything that was found, newest first, narrowed down by what the address says.
import { NativeSelect, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useState } from "react";

import { useGet, usePages } from "../api/client";
import { change, to, usePlace } from "../lib/router";
import { useWords } from "../lib/words";
import { useFindingColumns } from "../parts/FindingRow";
import { Link } from "../parts/Link";
import { Head } from "../parts/Panel";
import { Rows } from "../parts/Rows";
import { SEVERITIES } from "../parts/Severity";
import { AllGood, Answer, Empty } from "../parts/States";

const STATUSES = ["active", "held", "resolved", "retracted"] as const;
/** Names of search parameters that narrow the list. */
const FILTERS = ["status", "severity", "chain", "source", "class", "asset", "text"] as const;

export default function Findings() {
  const t = useWords();
  const { query } = usePlace();
  const columns = useFindingColumns();
  const filter = Object.fromEntries(
    FILTERS.map((name) => [name, query.get(name) ?? ""]).filter(([, value]) => value !== ""),
  );
  const narrowed = Object.keys(filter).length > 0;
  const pages = usePages("/api/v1/findings", {}, { ...filter, limit: 200 });
  const chains = useGet("/api/v1/chains", {});
  const names = chains.data?.map((chain) => chain.chain) ?? [];
  const severity = query.get("severity") ?? "";
  const known = [...SEVERITIES, ""].some((one) => one === severity);
  return (
    <>
      <Head title={t.rooms.findings} />
      <div className="filters" role="search" aria-label={t.filters.label}>
        <Text key={query.get("text") ?? ""} value={query.get("text") ?? ""} />
        <NativeSelect
          label={t.columns.state}
          value={query.get("status") ?? ""}
          onChange={(event) => change({ status: event.currentTarget.value })}
          data={[{ value: "", label: t.filters.all }, ...STATUSES.map((value) => ({ value, label: t.statuses[value] }))]}
        />
        <NativeSelect
          label={t.columns.severity}
          value={severity}
          onChange={(event) => change({ severity: event.currentTarget.value })}
          data={[
            { value: "", label: t.filters.all },
            ...SEVERITIES.map((value) => ({ value: value as string, label: t.severities[value] })),
            ...(known ? [] : [{ value: severity, label: severity }]),
          ]}
        />
        {names.length > 1 && (
          <NativeSelect
            label={t.chain.one}
            value={query.get("chain") ?? ""}
            onChange={(event) => change({ chain: event.currentTarget.value })}
            data={[{ value: "", label: t.filters.all }, ...names]}
          />
        )}
        {(["source", "class", "asset"] as const)
          .filter((name) => query.has(name))
          .map((name) => (
            <button key={name} type="button" className="btn" onClick={() => change({ [name]: "" })}>
              {t.filters[name]}: <span translate="no">{query.get(name)}</span> ×
            </button>
          ))}
      </div>
      <Answer of={pages as never} rows={8}>
        {() => {
          const items = pages.data?.pages.flatMap((page) => page.items) ?? [];
          if (items.length === 0 && narrowed) {
            return (
              <Empty action={<Link href={to(["findings"])}>{t.filters.clear}</Link>}>{t.findings.noneFit}</Empty>
            );
          }
          if (items.length === 0) return <AllGood>{t.findings.none}</AllGood>;
          return (
            <Rows
              label={t.rooms.findings}
              items={items}
              id={(finding) => finding.id}
              columns={columns}
              more={pages.hasNextPage && !pages.isFetching ? () => void pages.fetchNextPage() : undefined}
              className="findings"
              rowClass={(finding) => finding.status}
            />
          );
        }}
      </Answer>
    </>
  );
}

/** The search text: asked for when typing rests. */
function Text({ value }: { value: string }) {
  const t = useWords();
  const [text, setText] = useState(value);
  const apply = useDebouncedCallback((next: string) => change({ text: next }, "replace"), 350);
  useEffect(() => setText(value), [value]);
  return (
    <TextInput
      className="filter-text"
      label={t.filters.text}
      value={text}
      spellCheck={false}
      onChange={(event) => {
        setText(event.currentTarget.value);
        apply(event.currentTarget.value);
      }}
    />
  );
}
