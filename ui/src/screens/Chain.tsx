// A chain: its blocks, what they used and cost, how settled they are, what was looked at, and who
// tells us of it.
import { type Chain, type Coverage, type Endpoint, type RecentBlock, useGet, usePages } from "../api/client";
import { count, decimal, gasPrice, moment, percent, si, span } from "../lib/format";
import { language } from "../lib/language";
import { change, to, usePlace } from "../lib/router";
import { useWords, word } from "../lib/words";
import { Ago } from "../parts/Ago";
import { Link } from "../parts/Link";
import { Facts, Head, Panel } from "../parts/Panel";
import { Rows } from "../parts/Rows";
import { Severity } from "../parts/Severity";
import { AllGood, Answer, Empty, Missing } from "../parts/States";
import { Bars, Line, Strip } from "../parts/Strip";
import { Hex, Raw } from "../parts/Text";

/** Blocks that the drawings show. */
const DRAWN = 120;

export default function Chains({ name }: { name: string | null }) {
  const t = useWords();
  const chains = useGet("/api/v1/chains", {}, {}, { every: 10_000 });
  return (
    <Answer of={chains} rows={6}>
      {(all) => {
        if (all.length === 0) {
          return (
            <>
              <Head title={t.rooms.chains} />
              <Empty>{t.overview.noChains}</Empty>
            </>
          );
        }
        const chain = all.find((one) => one.chain === (name ?? all[0]?.chain));
        return (
          <>
            <Head title={chain === undefined ? t.rooms.chains : <span translate="no">{chain.chain}</span>}>
              {chain !== undefined && <State of={chain} />}
              {(all.length > 1 || chain === undefined) && (
                <nav className="tabs" aria-label={t.rooms.chains}>
                  {all.map((one) => (
                    <Link
                      key={one.chain}
                      href={to(["chains", one.chain])}
                      aria-current={one === chain ? "page" : undefined}
                      translate="no"
                    >
                      {one.chain}
                    </Link>
                  ))}
                </nav>
              )}
            </Head>
            {chain === undefined ? <Empty>{t.chain.unknown}</Empty> : <Shown key={chain.chain} chain={chain} />}
          </>
        );
      }}
    </Answer>
  );
}

function State({ of }: { of: Chain }) {
  const t = useWords();
  const mark = of.state === "live" ? "ok" : of.state === "stopped" ? "P0" : "P2";
  return <Severity of={mark}>{word(t.chainStates, of.state)}</Severity>;
}

function Shown({ chain }: { chain: Chain }) {
  const t = useWords();
  const { query } = usePlace();
  const block = query.get("block");
  return (
    <div className="stack">
      {chain.reason != null && (
        <p className="note failed" role="alert">
          <Raw>{chain.reason}</Raw>
        </p>
      )}
      {block !== null && /^\d{1,18}$/.test(block) && <Block chain={chain.chain} height={Number(block)} />}
      <Vitals chain={chain} />
      <CoveragePanel chain={chain.chain} />
      <Panel title={t.chain.endpoints}>
        <Endpoints chain={chain} />
      </Panel>
      <Blocks chain={chain.chain} />
    </div>
  );
}

function Vitals({ chain }: { chain: Chain }) {
  const t = useWords();
  const shown = language.use();
  const recent = useGet("/api/v1/chains/{chain}/recent", { chain: chain.chain }, { limit: DRAWN }, { every: 10_000 });
  const { head, safe, finalized } = chain;
  const behind = (block: { height: number } | null | undefined): string =>
    block == null || head == null ? "–" : `${count(block.height)} (−${count(head.block.height - block.height)})`;
  return (
    <Answer of={recent} rows={6}>
      {(blocks) => {
        const standing = blocks.filter((block) => block.reverted_at == null);
        const [first, last] = [standing[0], standing.at(-1)];
        const seconds = first && last ? last.link.time - first.link.time : 0;
        const transactions = standing.slice(1).reduce((sum, block) => sum + block.transactions, 0);
        const fee = last?.base_fee_per_gas;
        return (
          <>
            <Panel title={t.chain.now}>
              <Facts
                of={[
                  [t.chain.head, head == null ? "–" : count(head.block.height)],
                  [t.chain.age, head == null ? "–" : <Ago key="age" at={head.time * 1000} />],
                  [t.finality.safe, behind(safe)],
                  [t.finality.finalized, behind(finalized)],
                  [t.chain.blockTime, seconds > 0 ? span((seconds * 1000) / (standing.length - 1), shown) : "–"],
                  [t.chain.tps, seconds > 0 ? decimal(transactions / seconds, 2) : "–"],
                  [t.chain.baseFee, fee == null ? "–" : gasPrice(Number(fee))],
                  [t.chain.id, chain.chain_id == null ? "–" : String(chain.chain_id)],
                  [t.chain.queue, count(chain.queued)],
                ]}
              />
              {chain.inspection != null && <Inspection of={chain.inspection} />}
            </Panel>
            {standing.length === 0 ? (
              <Empty>{t.chain.noBlocks}</Empty>
            ) : (
              <div className="tiles">
                <Drawings blocks={blocks} standing={standing} />
              </div>
            )}
          </>
        );
      }}
    </Answer>
  );
}

function Drawings({ blocks, standing }: { blocks: RecentBlock[]; standing: RecentBlock[] }) {
  const t = useWords();
  const fees = standing.flatMap((block) => (block.base_fee_per_gas == null ? [] : [Number(block.base_fee_per_gas)]));
  const used = standing.reduce((sum, block) => sum + block.gas_used, 0);
  const limit = standing.reduce((sum, block) => sum + block.gas_limit, 0);
  const reverted = blocks.filter((block) => block.reverted_at != null);
  const last = reverted.at(-1);
  return (
    <>
      <Panel title={t.chain.gas} aside={<span className="muted">{percent(limit === 0 ? 0 : used / limit)}</span>} className="tile">
        <Bars
          label={t.chain.gasLabel(standing.length, percent(limit === 0 ? 0 : used / limit))}
          bars={standing.map((block) => ({
            value: block.gas_used,
            title: `${count(block.link.block.height)}: ${si(block.gas_used)} / ${si(block.gas_limit)}`,
          }))}
        />
      </Panel>
      <Panel
        title={t.chain.fees}
        aside={<span className="muted">{fees.length === 0 ? "–" : gasPrice(fees.at(-1) ?? 0)}</span>}
        className="tile"
      >
        {fees.length < 2 ? (
          <Empty>{t.chain.noFees}</Empty>
        ) : (
          <Line points={fees} label={t.chain.feesLabel(gasPrice(Math.min(...fees)), gasPrice(Math.max(...fees)))} />
        )}
      </Panel>
      <Panel
        title={t.chain.transactions}
        aside={<span className="muted">{count(standing.reduce((sum, block) => sum + block.transactions, 0))}</span>}
        className="tile"
      >
        <Bars
          label={t.chain.transactionsLabel(standing.length)}
          bars={standing.map((block) => ({
            value: block.transactions,
            title: `${count(block.link.block.height)}: ${count(block.transactions)}`,
          }))}
        />
      </Panel>
      <Panel title={t.chain.reorgs} aside={<Severity of={reverted.length === 0 ? "ok" : "P2"}>{count(reverted.length)}</Severity>} className="tile">
        <Strip
          label={t.chain.reorgsLabel(blocks.length, reverted.length)}
          slots={blocks.map((block) => ({
            mark: block.reverted_at == null ? "ok" : "P2",
            title: `${count(block.link.block.height)} ${block.link.block.hash}${block.reverted_at == null ? "" : ` – ${t.chain.takenBack}`}`,
          }))}
        />
        <p className="muted">
          {last === undefined ? t.chain.noReorg : <>{t.chain.lastReorg(count(last.link.block.height))} <Ago at={last.reverted_at ?? 0} /></>}
        </p>
      </Panel>
    </>
  );
}

function Inspection({ of }: { of: NonNullable<Chain["inspection"]> }) {
  const t = useWords();
  return (
    <>
      <p className="muted">
        {t.chain.inspected(of.inspected == null ? "–" : count(of.inspected), count(of.pending))}
        {of.source != null && <> · {word(t.traceSources, of.source)}</>}
        {of.waiting_since != null && (
          <>
            {" "}
            · {t.chain.waitingSince} <Ago at={of.waiting_since} />
          </>
        )}
      </p>
      {of.lacking != null && (
        <Missing title={t.chain.noCalls}>
          <p>
            <Raw>{of.lacking}</Raw>
          </p>
        </Missing>
      )}
    </>
  );
}

function CoveragePanel({ chain }: { chain: string }) {
  const t = useWords();
  const coverage = useGet("/api/v1/chains/{chain}/coverage", { chain }, {}, { every: 10_000 });
  return (
    <Panel title={t.coverage.title}>
      <Answer of={coverage} rows={2}>
        {(data) => (
          <>
            <CoverageBar of={data} />
            <details>
              <summary>{t.coverage.how}</summary>
              <Ranges chain={chain} />
            </details>
          </>
        )}
      </Answer>
    </Panel>
  );
}

function CoverageBar({ of }: { of: Coverage }) {
  const t = useWords();
  const { from, to: last, contiguous_from: whole, missing } = of;
  const words = [
    whole == null || missing > 0 ? t.coverage.broken(count(from), count(last)) : t.coverage.whole(count(whole), count(last)),
    of.weaker === 0 ? t.coverage.allVerified : t.coverage.weaker(count(of.weaker)),
    ...(of.rescanned === 0 ? [] : [t.coverage.rescanned(count(of.rescanned))]),
  ];
  const range = (one: { from: number; to: number }): string =>
    one.from === one.to ? count(one.from) : `${count(one.from)}–${count(one.to)}`;
  return (
    <>
      <div className="coverage" role="img" aria-label={words.join("; ")}>
        {of.bar.map((part) => (
          <i
            key={part.from}
            className={part.kind}
            style={{ flexGrow: part.to - part.from + 1 }}
            title={`${range(part)}${part.why === "" ? "" : `: ${part.why}`}`}
          />
        ))}
      </div>
      <p className="muted">{words.join(" · ")}</p>
      {missing === 0 ? (
        <AllGood>{t.coverage.noHoles}</AllGood>
      ) : (
        <>
          <Severity of="P0">{t.coverage.holes(count(missing))}</Severity>
          <ul className="plain">
            {of.holes.slice(0, 20).map((hole) => (
              <li key={hole.from}>{range(hole)}</li>
            ))}
            {of.holes.length > 20 && <li>…</li>}
          </ul>
        </>
      )}
    </>
  );
}

function Checks({ of }: { of: readonly string[] }) {
  const t = useWords();
  return of.length === 0 ? <>–</> : <>{of.map((check) => word(t.checks, check)).join(", ")}</>;
}

function Ranges({ chain }: { chain: string }) {
  const t = useWords();
  const ranges = useGet("/api/v1/chains/{chain}/coverage/ranges", { chain }, { limit: 100 }, { every: 15_000 });
  return (
    <Answer of={ranges}>
      {(page) => (
        <div className="scroll" tabIndex={0} role="group" aria-label={t.coverage.how}>
          <table className="cards">
            <thead>
              <tr>
                <th>{t.coverage.range}</th>
                <th>{t.columns.state}</th>
                <th>{t.coverage.checks}</th>
                <th className="number">{t.coverage.agreed}</th>
                <th className="number">{t.coverage.rescans}</th>
                <th>{t.coverage.shortfall}</th>
              </tr>
            </thead>
            <tbody>
              {page.items.map((range) => (
                <tr key={range.from}>
                  <td className="mono">
                    {count(range.from)}–{count(range.to)}
                  </td>
                  <td>
                    <Severity of={range.processed ? "ok" : "P0"}>
                      {range.processed ? t.coverage.looked : t.coverage.hole}
                    </Severity>
                  </td>
                  <td>
                    <Checks of={range.checks} />
                  </td>
                  <td className="number" data-name={t.coverage.agreed}>
                    {range.agreed}
                  </td>
                  <td className="number" data-name={t.coverage.rescans}>
                    {range.rescans}
                  </td>
                  <td>
                    <Raw>{range.shortfall}</Raw>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Answer>
  );
}

const HEALTH: Record<string, string> = { healthy: "ok", limited: "P2", down: "P1", quarantined: "P0", unknown: "unknown" };

function Endpoints({ chain }: { chain: Chain }) {
  const t = useWords();
  const ms = (seconds: number | null | undefined): string => (seconds == null ? "–" : `${Math.round(seconds * 1000)}`);
  const name = (of: unknown): string => String(of);
  return (
    <div className="scroll" tabIndex={0} role="group" aria-label={t.chain.endpoints}>
      <table className="cards">
        <thead>
          <tr>
            <th>{t.endpoint.name}</th>
            <th>{t.endpoint.health}</th>
            <th className="number">{t.chain.head}</th>
            <th className="number">{t.endpoint.behind}</th>
            <th className="number">{t.endpoint.latency}</th>
            <th className="number">{t.endpoint.requests}</th>
            <th className="number">{t.endpoint.errors}</th>
            <th>{t.endpoint.client}</th>
            <th>{t.endpoint.lacks}</th>
          </tr>
        </thead>
        <tbody>
          {chain.endpoints.map((endpoint: Endpoint) => (
            <tr key={endpoint.name}>
              <td className="mono" translate="no">
                {endpoint.name}
              </td>
              <td>
                <Severity of={HEALTH[name(endpoint.health)] ?? "unknown"}>
                  {word(t.health, name(endpoint.health))}
                  {!endpoint.in_use && ` · ${t.endpoint.unused}`}
                </Severity>
                {endpoint.reason != null && (
                  <div>
                    <Raw>{endpoint.reason}</Raw>
                  </div>
                )}
              </td>
              <td className="number" data-name={t.chain.head}>
                {endpoint.head == null ? "–" : count(endpoint.head.block.height)}
              </td>
              <td className="number" data-name={t.endpoint.behind}>
                {count(endpoint.behind)}
              </td>
              <td className="number" data-name={t.endpoint.latency}>
                {ms(endpoint.latency_p50_seconds)} / {ms(endpoint.latency_p95_seconds)} ms
              </td>
              <td className="number" data-name={t.endpoint.requests}>
                {count(endpoint.requests)}
              </td>
              <td className="number" data-name={t.endpoint.errors} title={endpoint.last_error ?? ""}>
                {count(endpoint.errors_total)}
              </td>
              <td>
                <Raw>{endpoint.client_version ?? "–"}</Raw>
              </td>
              <td>{endpoint.missing_methods.length === 0 ? "–" : <Raw mono>{endpoint.missing_methods.join(", ")}</Raw>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Block({ chain, height }: { chain: string; height: number }) {
  const t = useWords();
  const blocks = useGet("/api/v1/chains/{chain}/blocks", { chain }, { from: height, to: height });
  return (
    <Panel
      title={`${t.block} ${count(height)}`}
      aside={
        <button type="button" className="btn" onClick={() => change({ block: null })}>
          {t.close}
        </button>
      }
    >
      <Answer of={blocks}>
        {(page) => {
          const [block] = page.items;
          if (block === undefined) return <Empty>{t.chain.blockGone}</Empty>;
          return (
            <Facts
              of={[
                [t.chain.hash, <Hex key="hash" value={block.link.block.hash} />],
                [t.chain.parent, <Hex key="parent" value={block.link.parent} />],
                [t.finding.blockTime, moment(block.link.time * 1000)],
                [t.chain.transactions, count(block.transactions)],
                [t.chain.logs, count(block.logs)],
                [t.chain.finality, word(t.finality, block.finality)],
                [t.chain.intake, word(t.intakes, String(block.intake))],
                [t.coverage.checks, <Checks key="checks" of={block.checks} />],
                [t.coverage.agreed, String(block.agreed)],
                ...(block.shortfall === "" ? [] : [[t.coverage.shortfall, <Raw key="why">{block.shortfall}</Raw>] as [string, React.ReactNode]]),
              ]}
            />
          );
        }}
      </Answer>
    </Panel>
  );
}

function Blocks({ chain }: { chain: string }) {
  const t = useWords();
  const pages = usePages("/api/v1/chains/{chain}/blocks", { chain }, { limit: 100 });
  return (
    <Panel title={t.chain.blocks}>
      <Answer of={pages as never} rows={6}>
        {() => (
          <Rows
            label={t.chain.blocks}
            items={pages.data?.pages.flatMap((page) => page.items) ?? []}
            id={(block) => block.link.block.hash}
            more={pages.hasNextPage && !pages.isFetching ? () => void pages.fetchNextPage() : undefined}
            className="blocks"
            columns={[
              {
                name: t.block,
                className: "c-height number",
                cell: (block) => (
                  <Link href={to(["chains", chain], { block: block.link.block.height })}>
                    {count(block.link.block.height)}
                  </Link>
                ),
              },
              { name: t.chain.hash, className: "c-hash optional", cell: (block) => <Hex value={block.link.block.hash} /> },
              { name: t.chain.transactions, className: "c-number number", cell: (block) => count(block.transactions) },
              { name: t.chain.logs, className: "c-number number optional", cell: (block) => count(block.logs) },
              { name: t.chain.finality, className: "c-word", cell: (block) => word(t.finality, block.finality) },
              {
                name: t.coverage.checks,
                className: "c-word",
                cell: (block) =>
                  block.shortfall === "" ? (
                    <Severity of="ok">{t.coverage.full}</Severity>
                  ) : (
                    <span title={block.shortfall}>
                      <Severity of="P2">{t.coverage.partial}</Severity>
                    </span>
                  ),
              },
              { name: t.columns.when, className: "c-when number", cell: (block) => <Ago at={block.link.time * 1000} /> },
            ]}
          />
        )}
      </Answer>
    </Panel>
  );
}
