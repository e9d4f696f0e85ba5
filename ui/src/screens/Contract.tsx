// One contract: what calls it, what that costs and will cost, how risky it is item by item, and where
// its money went.
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";

import { type ContractCosts, type ContractRisk, useGet } from "../api/client";
import { amount, count, decimal, percent, si } from "../lib/format";
import { to } from "../lib/router";
import { useWords, word } from "../lib/words";
import { useFindingColumns } from "../parts/FindingRow";
import { FundGraph, type Funds } from "../parts/FundGraph";
import { Link } from "../parts/Link";
import { Facts, Head, Panel } from "../parts/Panel";
import { Rows } from "../parts/Rows";
import { Severity } from "../parts/Severity";
import { AllGood, Answer, Empty, Partial } from "../parts/States";
import { Bars } from "../parts/Strip";
import { Hex, Raw } from "../parts/Text";

export default function ContractView({ name }: { name: string }) {
  const costs = useGet("/api/v1/contracts/{contract}/costs", { contract: name }, {}, { every: 15_000 });
  const contract = costs.data?.contract;
  return (
    <>
      <Head title={<Raw>{name}</Raw>}>
        {contract !== undefined && (
          <>
            <Link href={to(["chains", contract.chain])} translate="no">
              {contract.chain}
            </Link>
            <Hex value={contract.address} />
          </>
        )}
      </Head>
      <div className="columns">
        <div className="grow stack">
          <Answer of={costs} rows={8}>
            {(data) => <Costs of={data} />}
          </Answer>
        </div>
        <div className="aside stack">
          <Risk name={name} />
          {contract !== undefined && <Found chain={contract.chain} name={name} />}
        </div>
      </div>
      {contract !== undefined && <Tracing chain={contract.chain} address={contract.address} />}
    </>
  );
}

function Costs({ of }: { of: ContractCosts }) {
  const t = useWords();
  const { total } = of;
  if (total.calls === 0) return <Panel title={t.contracts.use}><Empty>{t.contracts.noCalls}</Empty></Panel>;
  const gas = Number(total.gas);
  const errors = Object.entries(total.errors).sort((a, b) => b[1] - a[1]);
  return (
    <>
      <Panel title={t.contracts.use}>
        <Facts
          of={[
            [t.contracts.calls, count(total.calls)],
            [t.contracts.failed, `${count(total.failed)} (${percent(total.error_rate ?? 0)})`],
            [t.contracts.gas, si(gas)],
            [t.contracts.failedGas, si(Number(total.failed_gas))],
            [t.contracts.perCall, `${si(total.gas_p50 ?? 0)} / ${si(total.gas_p95 ?? 0)} / ${si(total.gas_p99 ?? 0)}`],
            [t.contracts.fees, `${amount(total.fees, 18)} ${t.tx.coins}`],
            ...(total.fees_fiat == null ? [] : [[t.contracts.fiat, decimal(total.fees_fiat)] as [string, string]]),
            ...(of.gas_trend_per_day == null
              ? []
              : [[t.contracts.trend, `${of.gas_trend_per_day > 0 ? "+" : ""}${si(of.gas_trend_per_day)}`] as [string, string]]),
          ]}
        />
        {total.gas_without_price !== "0" && <Partial>{t.contracts.unpriced(si(Number(total.gas_without_price)))}</Partial>}
      </Panel>
      <Panel title={t.contracts.functions}>
        <div className="scroll" tabIndex={0} role="group" aria-label={t.contracts.functions}>
          <table className="cards">
            <thead>
              <tr>
                <th>{t.tx.function}</th>
                <th className="number">{t.contracts.calls}</th>
                <th className="number">{t.contracts.failed}</th>
                <th className="number">{t.contracts.share}</th>
                <th className="number">{t.contracts.p50}</th>
                <th className="number">{t.contracts.p95}</th>
                <th className="number">{t.contracts.fees}</th>
              </tr>
            </thead>
            <tbody>
              {of.functions.map((one) => (
                <tr key={one.function ?? ""}>
                  <td>
                    <Raw mono>{one.signature ?? one.function ?? "–"}</Raw>
                  </td>
                  <td className="number" data-name={t.contracts.calls}>{count(one.calls)}</td>
                  <td className="number" data-name={t.contracts.failed}>{percent(one.error_rate ?? 0)}</td>
                  <td className="number" data-name={t.contracts.share}>{percent(gas === 0 ? 0 : Number(one.gas) / gas)}</td>
                  <td className="number" data-name={t.contracts.p50}>{si(one.gas_p50 ?? 0)}</td>
                  <td className="number" data-name={t.contracts.p95}>{si(one.gas_p95 ?? 0)}</td>
                  <td className="number" data-name={t.contracts.fees}>{amount(one.fees, 18)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
      <Panel title={t.contracts.errors}>
        {errors.length === 0 ? (
          <AllGood>{t.contracts.noErrors}</AllGood>
        ) : (
          <table>
            <thead>
              <tr>
                <th>{t.contracts.reason}</th>
                <th className="number">{t.contracts.calls}</th>
              </tr>
            </thead>
            <tbody>
              {errors.map(([reason, number]) => (
                <tr key={reason}>
                  <td>
                    <Raw>{reason}</Raw>
                  </td>
                  <td className="number">{count(number)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Panel>
      <Forecast of={of} />
      <Advice of={of} />
    </>
  );
}

function Forecast({ of }: { of: ContractCosts }) {
  const t = useWords();
  const coins = (wei: string): number => Number(wei) / 1e18;
  const day = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 10);
  return (
    <Panel title={t.contracts.perDay}>
      {of.days.length === 0 ? (
        <Empty>{t.contracts.noCalls}</Empty>
      ) : (
        <Bars
          label={t.contracts.perDayLabel(of.days.length, of.forecast.length)}
          bars={[
            ...of.days.map((one) => ({ value: coins(one.fees), title: `${day(one.day)}: ${amount(one.fees, 18)}` })),
            ...of.forecast.map((one) => ({
              value: one.value,
              of: one.high,
              title: `+${one.ahead}: ${decimal(one.value, 6)} (${decimal(one.low, 6)}–${decimal(one.high, 6)})`,
              className: "forecast",
            })),
          ]}
        />
      )}
      <p className="muted">
        {of.forecast.length === 0
          ? t.contracts.noForecast
          : t.contracts.forecast(
              decimal(of.forecast.reduce((sum, one) => sum + one.value, 0), 6),
              decimal(of.forecast.reduce((sum, one) => sum + one.low, 0), 6),
              decimal(of.forecast.reduce((sum, one) => sum + one.high, 0), 6),
            )}
      </p>
    </Panel>
  );
}

function Advice({ of }: { of: ContractCosts }) {
  const t = useWords();
  const advice = of.total.advice;
  if (advice.length === 0) return null;
  return (
    <Panel title={t.contracts.advice}>
      <ul>
        {advice.map((one) => (
          <li key={one.text}>
            <Raw>{one.text}</Raw> <span className="muted">{t.contracts.saves(count(one.calls), si(Number(one.gas)))}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Risk({ name }: { name: string }) {
  const t = useWords();
  const risk = useGet("/api/v1/contracts/{contract}/risk", { contract: name });
  return (
    <Panel title={t.risk.title}>
      <Answer of={risk} rows={6} what={t.risk.reading}>
        {(data) => <Score of={data} />}
      </Answer>
    </Panel>
  );
}

function Score({ of }: { of: ContractRisk }) {
  const t = useWords();
  const mark = of.score >= 70 ? "P0" : of.score >= 45 ? "P1" : of.score >= 20 ? "P2" : "ok";
  return (
    <>
      <p className="score">
        <Severity of={mark}>
          <b>{of.score}</b> / 100
        </Severity>
        <span className="muted">{t.risk.unknown(of.unknown, count(of.height))}</span>
      </p>
      <ul className="plain risk">
        {of.items.map((item) => (
          <li key={item.name}>
            <span className="risk-name">{word(t.risk.items, item.name)}</span>
            <span className="risk-points">
              {item.points} / {item.worst}
            </span>
            <progress max={item.worst} value={item.points} aria-label={word(t.risk.items, item.name)} />
            <span className="muted">{item.known ? <Raw>{item.fact}</Raw> : t.risk.notKnown}</span>
          </li>
        ))}
      </ul>
      <Facts
        of={(
          [
            [t.risk.implementation, of.implementation],
            [t.risk.admin, of.admin],
            [t.risk.owner, of.owner],
          ] as const
        ).flatMap(([label, address]) =>
          address == null ? [] : [[label, <Hex key={label} value={address} />] as [string, React.ReactNode]],
        )}
      />
      {of.holes.length > 0 && (
        <details>
          <summary>{t.risk.holes(of.holes.length)}</summary>
          <ul className="plain">
            {of.holes.map((hole, place) => (
              <li key={place}>
                <Severity of={hole.severity}>
                  <Raw>{hole.check}</Raw> · {hole.confidence} %
                </Severity>
                <div>
                  <Raw>{hole.why}</Raw>{" "}
                  {hole.selector != null && (
                    <code translate="no" className="muted">
                      {hole.selector}
                    </code>
                  )}
                </div>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function Found({ chain, name }: { chain: string; name: string }) {
  const t = useWords();
  const columns = useFindingColumns();
  const asset = `contract/${chain}/${name}`;
  const findings = useGet("/api/v1/findings", {}, { asset, limit: 8 });
  return (
    <Panel title={t.rooms.findings} aside={<Link href={to(["findings"], { asset })}>{t.finding.allBefore}</Link>}>
      <Answer of={findings}>
        {(page) =>
          page.items.length === 0 ? (
            <AllGood>{t.findings.none}</AllGood>
          ) : (
            <Rows
              label={t.rooms.findings}
              items={page.items}
              id={(one) => one.id}
              className="findings narrow"
              columns={columns.filter((column) => ["c-severity", "c-what", "c-when number"].includes(column.className))}
              rowClass={(one) => one.status}
            />
          )
        }
      </Answer>
    </Panel>
  );
}

/** Blocks that are looked at when nobody says how many. */
const BACK = 500;

function Tracing({ chain, address }: { chain: string; address: string }) {
  const t = useWords();
  const chains = useGet("/api/v1/chains/{chain}", { chain });
  const coverage = useGet("/api/v1/chains/{chain}/coverage", { chain });
  const head = chains.data?.head?.block.height ?? 0;
  const [root, setRoot] = useState(address);
  const [direction, setDirection] = useState("forward");
  const [blocks, setBlocks] = useState(String(BACK));
  const [asked, setAsked] = useState<{ root: string; direction: string; from: number; to: number } | null>(null);
  const number = Number(blocks);
  const fits = /^0x[0-9a-fA-F]{40}$/.test(root.trim()) && Number.isInteger(number) && number >= 1 && number <= 2_000;
  const lowest = coverage.data?.from ?? 0;
  const funds = useGet(
    "/api/v1/chains/{chain}/funds/{address}",
    { chain, address: asked?.root ?? "" },
    { from: asked?.from ?? 0, to: asked?.to ?? 0, direction: asked?.direction ?? "forward" },
    { enabled: asked !== null },
  );
  return (
    <Panel title={t.funds.title}>
      <form
        className="filters"
        onSubmit={(event) => {
          event.preventDefault();
          if (!fits) return;
          setAsked({ root: root.trim(), direction, from: Math.max(lowest, head - number + 1), to: head });
        }}
      >
        <TextInput className="filter-text" label={t.funds.from} value={root} spellCheck={false} onChange={(event) => setRoot(event.currentTarget.value)} />
        <NativeSelect
          label={t.funds.direction}
          value={direction}
          onChange={(event) => setDirection(event.currentTarget.value)}
          data={[
            { value: "forward", label: t.funds.forward },
            { value: "backward", label: t.funds.backward },
          ]}
        />
        <TextInput label={t.funds.blocks} value={blocks} inputMode="numeric" onChange={(event) => setBlocks(event.currentTarget.value)} />
        <Button type="submit" disabled={!fits || head === 0}>
          {t.funds.trace}
        </Button>
      </form>
      {asked === null ? (
        <p className="muted">{t.funds.help}</p>
      ) : (
        <Answer of={funds} rows={4} what={t.funds.reading}>
          {(graph) => <FundGraph of={graph as Funds} chain={chain} />}
        </Answer>
      )}
    </Panel>
  );
}
