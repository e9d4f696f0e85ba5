// What needs you now, worst first; then how everything has been in the last day.
import { type Chain, type Finding, type Overview as Day, type Status, useGet } from "../api/client";
import { count, moment } from "../lib/format";
import { to } from "../lib/router";
import { useWords, word } from "../lib/words";
import { Ago } from "../parts/Ago";
import { useFindingColumns } from "../parts/FindingRow";
import { Link } from "../parts/Link";
import { Facts, Head, Panel } from "../parts/Panel";
import { Rows } from "../parts/Rows";
import { SEVERITIES, Severity } from "../parts/Severity";
import { AllGood, Answer, Empty, Missing, Partial } from "../parts/States";
import { type Slot, Strip } from "../parts/Strip";
import { Raw } from "../parts/Text";

/** Findings that the first page lists. */
const LISTED = 12;

export function Overview() {
  const t = useWords();
  const status = useGet("/api/v1/status", {}, {}, { every: 15_000 });
  const day = useGet("/api/v1/overview", {}, { hours: 24, slots: 48 }, { every: 60_000 });
  return (
    <>
      <Answer of={status}>{(data) => <Now status={data} />}</Answer>
      <div className="columns">
        <Attention open={status.data?.open_findings} />
        <Answer of={status}>{(data) => <Watcher status={data} />}</Answer>
      </div>
      <h2 className="section">{t.overview.day}</h2>
      <Answer of={day}>{(data) => <Domains day={data} />}</Answer>
    </>
  );
}

function Now({ status }: { status: Status }) {
  const t = useWords();
  const open = status.open_findings;
  const urgent = (open["P0"] ?? 0) + (open["P1"] ?? 0);
  return (
    <Head title={urgent === 0 ? t.overview.calm : t.overview.needs(urgent)}>
      <ul className="counts">
        {SEVERITIES.map((severity) => (
          <li key={severity}>
            <Link href={to(["findings"], { status: "active", severity })} data-count={severity}>
              <Severity of={severity}>
                {count(open[severity] ?? 0)} {t.severities[severity]}
              </Severity>
            </Link>
          </li>
        ))}
      </ul>
    </Head>
  );
}

function Attention({ open }: { open: Record<string, number> | undefined }) {
  const t = useWords();
  const columns = useFindingColumns();
  const ask = (severity: string) => ({ status: "active", severity, limit: LISTED });
  const worst = useGet("/api/v1/findings", {}, ask("P0"));
  const next = useGet("/api/v1/findings", {}, ask("P1"));
  const urgent = (open?.["P0"] ?? 0) + (open?.["P1"] ?? 0);
  return (
    <Panel title={t.overview.attention} className="grow">
      <Answer of={worst} rows={5}>
        {(first) => (
          <Answer of={next} rows={5}>
            {(second) => {
              const items: Finding[] = [...first.items, ...second.items].slice(0, LISTED);
              if (items.length === 0) return <AllGood>{t.overview.nothing}</AllGood>;
              return (
                <>
                  <Rows
                    label={t.overview.attention}
                    items={items}
                    id={(finding) => finding.id}
                    columns={columns.filter((column) => column.className !== "c-state")}
                    className="findings brief"
                  />
                  {urgent > items.length && (
                    <p>
                      <Link href={to(["findings"], { status: "active", severity: "P0,P1" })}>
                        {t.overview.all(urgent)}
                      </Link>
                    </p>
                  )}
                </>
              );
            }}
          </Answer>
        )}
      </Answer>
    </Panel>
  );
}

function Watcher({ status }: { status: Status }) {
  const t = useWords();
  return (
    <Panel title={t.overview.watcher} className="aside">
      {status.chains.length === 0 && <Empty>{t.overview.noChains}</Empty>}
      {status.chains.map((chain) => (
        <ChainLine key={chain.chain} chain={chain} />
      ))}
      {status.outbox.dead > 0 && (
        <Partial>
          <Link href={to(["settings"])}>{t.overview.dead(status.outbox.dead)}</Link>
        </Partial>
      )}
      <Facts
        of={[
          [t.overview.waiting, count(status.outbox.due)],
          [t.overview.running, <Ago key="since" at={status.started_at} />],
        ]}
      />
    </Panel>
  );
}

function ChainLine({ chain }: { chain: Chain }) {
  const t = useWords();
  const well = chain.endpoints.filter((endpoint) => endpoint.health === "healthy").length;
  const all = chain.endpoints.length;
  const mark = chain.state === "live" && well === all ? "ok" : chain.state === "stopped" || well === 0 ? "P0" : "P2";
  return (
    <div className="chain-line">
      <Severity of={mark}>
        <Link href={to(["chains", chain.chain])} translate="no">
          {chain.chain}
        </Link>{" "}
        {word(t.chainStates, chain.state)}
      </Severity>
      <span className="muted">
        {chain.head != null && (
          <>
            {t.chain.head} {count(chain.head.block.height)} · <Ago at={chain.head.time * 1000} /> ·{" "}
          </>
        )}
        {t.overview.endpoints(well, all)}
      </span>
      {chain.reason != null && <Raw>{chain.reason}</Raw>}
      {chain.inspection?.lacking != null && (
        <Missing title={t.chain.noCalls}>
          <p>
            <Raw>{chain.inspection.lacking}</Raw>
          </p>
        </Missing>
      )}
    </div>
  );
}

/** The kinds that every installation has, shown also when nothing was ever found there. */
const ALWAYS = ["chain", "endpoint", "contract"];

function Domains({ day }: { day: Day }) {
  const t = useWords();
  const kinds = [...ALWAYS, ...day.domains.map((domain) => domain.kind).filter((kind) => !ALWAYS.includes(kind))];
  return (
    <div className="tiles">
      {kinds.map((kind) => {
        const domain = day.domains.find((one) => one.kind === kind);
        const worst = SEVERITIES.find((severity) => (domain?.open[severity] ?? 0) > 0);
        const slots: Slot[] = Array.from({ length: day.slots }, (_, slot) => {
          const from = day.since + slot * day.slot_ms;
          const made = domain?.slots.find((one) => one.slot === slot);
          const known = from + day.slot_ms > day.watched_since;
          const what = made === undefined ? (known ? t.overview.quiet : t.severities.unknown) : t.overview.found(made.findings);
          return {
            mark: made === undefined ? (known ? "ok" : "unknown") : made.worst,
            title: `${moment(from)}: ${what}`,
          };
        });
        const open = Object.values(domain?.open ?? {}).reduce((sum, one) => sum + one, 0);
        return (
          <Panel
            key={kind}
            title={word(t.domains, kind)}
            aside={<Severity of={worst ?? "ok"} />}
            className="tile"
          >
            <Strip slots={slots} label={t.overview.strip(word(t.domains, kind))} />
            <p className="muted" data-domain={kind}>
              {t.overview.standing(open)}
            </p>
          </Panel>
        );
      })}
    </div>
  );
}
