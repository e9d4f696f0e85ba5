// One finding: what, why, where it stands, who was told, and whether it happened before.
import { type Finding, useGet } from "../api/client";
import { count, moment } from "../lib/format";
import { server, to } from "../lib/router";
import { useWords, word } from "../lib/words";
import { Ago } from "../parts/Ago";
import { Evidence } from "../parts/Evidence";
import { useFindingColumns } from "../parts/FindingRow";
import { Link } from "../parts/Link";
import { Facts, Head, Panel } from "../parts/Panel";
import { Rows } from "../parts/Rows";
import { Severity } from "../parts/Severity";
import { AllGood, Answer, Empty } from "../parts/States";
import { Copy, Hex, Raw } from "../parts/Text";

export default function FindingView({ id }: { id: string }) {
  const found = useGet("/api/v1/findings/{id}", { id });
  return <Answer of={found} rows={8}>{(finding) => <Shown finding={finding} />}</Answer>;
}

function Shown({ finding }: { finding: Finding }) {
  const t = useWords();
  const { position } = finding;
  const tx = position?.tx;
  const runbook = finding.evidence["runbook"];
  const description = finding.evidence["description"];
  return (
    <>
      <Head title={<Raw>{finding.title}</Raw>}>
        <Severity of={finding.severity} />
        <span className={`chip status-${finding.status}`}>{word(t.statuses, finding.status)}</span>
      </Head>
      {finding.status === "retracted" && (
        <p className="note stale" role="status">
          {t.finding.retracted}
        </p>
      )}
      <div className="columns">
        <div className="grow stack">
          <Panel title={t.finding.why}>
            {typeof description === "string" && (
              <p>
                <Raw>{description}</Raw>
              </p>
            )}
            <Evidence of={finding.evidence} without={["runbook", "description"]} />
          </Panel>
          <Before finding={finding} />
        </div>
        <div className="aside stack">
          <Panel title={t.finding.where}>
            <Facts
              of={[
                [t.finding.seen, <Ago key="seen" at={finding.seen_at} />],
                [t.finding.changed, <Ago key="changed" at={finding.changed_at} />],
                ...(position == null
                  ? []
                  : ([
                      [
                        t.block,
                        <Link key="block" href={to(["chains", position.chain], { block: position.height })}>
                          <span translate="no">{position.chain}</span> {count(position.height)}
                        </Link>,
                      ],
                      [t.finding.blockTime, moment(position.time * 1000)],
                    ] as [string, React.ReactNode][])),
                ...(tx == null || position == null
                  ? []
                  : ([
                      [
                        t.tx.one,
                        <Hex key="tx" value={tx} href={to(["tx", position.chain, tx], frameOf(finding))} />,
                      ],
                    ] as [string, React.ReactNode][])),
                [t.finding.asset, <Raw key="asset">{finding.asset}</Raw>],
                [
                  word(t.sourceKinds, finding.source_kind),
                  finding.source_kind === "rule" ? (
                    <Link key="source" href={to(["rules"], { rule: finding.source })}>
                      <Raw>{finding.source}</Raw>
                    </Link>
                  ) : (
                    <Raw key="source">{finding.source}</Raw>
                  ),
                ],
                [t.finding.class, <Raw key="class">{finding.class}</Raw>],
                [t.finding.confidence, `${finding.confidence} %`],
                [t.finding.deliver, word(t.finality, finding.deliver)],
                ...Object.entries(finding.labels).map(
                  ([name, value]): [React.ReactNode, React.ReactNode] => [
                    <Raw key="name">{name}</Raw>,
                    <Raw key="value">{value}</Raw>,
                  ],
                ),
              ]}
            />
            {typeof runbook === "string" && <Runbook url={runbook} />}
            <div className="row">
              <a className="btn" href={server(`api/v1/findings/${finding.id}`)} download={`finding-${finding.id}.json`}>
                {t.finding.export}
              </a>
              <Copy text={new URL(to(["findings", finding.id]), window.location.href).href}>{t.copyLink} </Copy>
            </div>
          </Panel>
          <Told finding={finding} />
        </div>
      </div>
    </>
  );
}

/** The frame that the evidence points at, for a link into the transaction. */
function frameOf(finding: Finding): { frame?: number } {
  for (const [name, value] of Object.entries(finding.evidence)) {
    if (name.endsWith("frame") && typeof value === "number") return { frame: value };
  }
  return {};
}

/** An address that the config names. Only web addresses become links. */
function Runbook({ url }: { url: string }) {
  const t = useWords();
  const safe = /^https?:\/\//.test(url);
  return (
    <p>
      {t.finding.runbook}{" "}
      {safe ? (
        <a href={url} rel="noreferrer noopener" target="_blank">
          <Raw>{url}</Raw>
        </a>
      ) : (
        <Raw>{url}</Raw>
      )}
    </p>
  );
}

function Told({ finding }: { finding: Finding }) {
  const t = useWords();
  const messages = useGet("/api/v1/outbox", {}, { finding: finding.id });
  return (
    <Panel title={t.finding.told}>
      <Answer of={messages} rows={2}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty>{t.finding.nobody}</Empty>
          ) : (
            <ul className="plain">
              {page.items.map((message) => (
                <li key={message.id}>
                  <Severity of={message.state === "delivered" ? "ok" : message.state === "dead" ? "P0" : "unknown"}>
                    <Raw>{message.target}</Raw> · {word(t.messageKinds, message.kind)} ·{" "}
                    {word(t.messageStates, message.state)} · <Ago at={message.settled_at ?? message.created_at} />
                  </Severity>
                  {message.last_error != null && <Raw>{message.last_error}</Raw>}
                </li>
              ))}
            </ul>
          )
        }
      </Answer>
    </Panel>
  );
}

/** Findings of the same source at the same asset. */
function Before({ finding }: { finding: Finding }) {
  const t = useWords();
  const columns = useFindingColumns();
  const past = useGet("/api/v1/findings", {}, {
    source: `${finding.source_kind}/${finding.source}`,
    asset: finding.asset,
    limit: 21,
  });
  return (
    <Panel
      title={t.finding.before}
      aside={
        <Link href={to(["findings"], { source: `${finding.source_kind}/${finding.source}`, asset: finding.asset })}>
          {t.finding.allBefore}
        </Link>
      }
    >
      <Answer of={past}>
        {(page) => {
          const others = page.items.filter((one) => one.id !== finding.id).slice(0, 20);
          if (others.length === 0) return <AllGood>{t.finding.never}</AllGood>;
          return (
            <Rows
              label={t.finding.before}
              items={others}
              id={(one) => one.id}
              columns={columns.filter((column) => !column.className.includes("c-source"))}
              className="findings brief"
              rowClass={(one) => one.status}
            />
          );
        }}
      </Answer>
    </Panel>
  );
}
