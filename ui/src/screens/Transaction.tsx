// A transaction, read in one screen: why it was flagged, its calls, what moved, who won and lost.
import { type CallFrame, type Transaction, useGet } from "../api/client";
import { amount, count, moment } from "../lib/format";
import { to } from "../lib/router";
import { useWords, word } from "../lib/words";
import { Account, assetAmount, assetName } from "../parts/Account";
import { CallTree } from "../parts/CallTree";
import { Evidence } from "../parts/Evidence";
import { Flow } from "../parts/Flow";
import { Link } from "../parts/Link";
import { Facts, Head, Panel } from "../parts/Panel";
import { Severity } from "../parts/Severity";
import { AllGood, Answer, Empty, Missing, Partial } from "../parts/States";
import { Copy, Hex, Raw } from "../parts/Text";

export default function TransactionView({ chain, hash }: { chain: string; hash: string }) {
  const t = useWords();
  const found = useGet("/api/v1/chains/{chain}/transactions/{hash}", { chain, hash });
  return (
    <>
      <Head
        title={
          <>
            {t.tx.one} <Hex value={hash} />
          </>
        }
      >
        {found.data !== undefined && (
          <Severity of={found.data.success ? "ok" : "P2"}>{found.data.success ? t.tx.success : t.tx.failed}</Severity>
        )}
        {found.data?.labels.map((label) => (
          <span key={label} className="chip">
            {word(t.labels, label)}
          </span>
        ))}
        <Copy text={window.location.href}>{t.copyLink} </Copy>
      </Head>
      <Answer of={found} rows={10} what={t.tx.looking}>
        {(tx) => <Shown tx={tx} />}
      </Answer>
    </>
  );
}

function Shown({ tx }: { tx: Transaction }) {
  const t = useWords();
  return (
    <>
      {!tx.calls_known && (
        <Missing title={t.tx.receiptOnly}>
          {tx.lacks.length === 0 ? (
            <p>{t.tx.tracesOff}</p>
          ) : (
            <ul className="plain">
              {tx.lacks.map((lack) => (
                <li key={lack.method}>
                  <code translate="no">{lack.method}</code>: <Raw>{lack.detail}</Raw>
                </li>
              ))}
            </ul>
          )}
        </Missing>
      )}
      {tx.cut && <Partial>{t.tx.cut}</Partial>}
      <div className="columns">
        <div className="grow stack">
          <Panel title={t.tx.calls(count(tx.frames.length))}>
            <CallTree tx={tx} detail={(at, frame) => <FrameDetail tx={tx} at={at} frame={frame} />} />
          </Panel>
          <Panel title={t.tx.flow}>
            <Flow tx={tx} />
          </Panel>
        </div>
        <div className="aside stack">
          <Why tx={tx} />
          <Balances tx={tx} />
          <Panel title={t.tx.facts}>
            <Facts
              of={[
                [
                  t.block,
                  <Link key="block" href={to(["chains", tx.chain], { block: tx.link.block.height })}>
                    <span translate="no">{tx.chain}</span> {count(tx.link.block.height)}
                  </Link>,
                ],
                [t.finding.blockTime, moment(tx.link.time * 1000)],
                [t.tx.index, count(tx.index)],
                [t.tx.sender, <Account key="sender" tx={tx} of={tx.sender} />],
                [t.tx.target, tx.target == null ? "–" : <Account key="target" tx={tx} of={tx.target} />],
                [t.tx.value, `${amount(tx.value, 18)} ${t.tx.coins}`],
                [t.tx.fee, tx.fee == null ? "–" : `${amount(tx.fee, 18)} ${t.tx.coins}`],
                [t.tx.gas, `${tx.gas_used == null ? "–" : count(tx.gas_used)} / ${count(tx.gas_limit)}`],
                [t.tx.nonce, count(tx.nonce)],
                [t.tx.source, word(t.traceSources, tx.source)],
              ]}
            />
          </Panel>
        </div>
      </div>
    </>
  );
}

function Why({ tx }: { tx: Transaction }) {
  const t = useWords();
  const told = useGet("/api/v1/findings", {}, { text: tx.hash, chain: tx.chain, limit: 20 });
  return (
    <Panel title={t.tx.why}>
      {tx.verdicts.length === 0 && <AllGood>{t.tx.noVerdict}</AllGood>}
      {tx.verdicts.map((verdict, place) => (
        <details key={place} className="verdict" open={place === 0}>
          <summary>
            <Severity of={verdict.severity}>
              {word(t.classes, verdict.class)} · {verdict.confidence} %
            </Severity>
          </summary>
          <Evidence of={verdict.evidence} />
        </details>
      ))}
      <Answer of={told} rows={1}>
        {(page) => (
          <ul className="plain">
            {page.items.map((finding) => (
              <li key={finding.id}>
                <Severity of={finding.severity}>
                  <Link href={to(["findings", finding.id])}>
                    <Raw>{finding.title}</Raw>
                  </Link>
                </Severity>
              </li>
            ))}
          </ul>
        )}
      </Answer>
    </Panel>
  );
}

function Balances({ tx }: { tx: Transaction }) {
  const t = useWords();
  const shown = tx.balances.filter((balance) => balance.net !== "0").slice(0, 100);
  return (
    <Panel title={t.tx.balances}>
      {shown.length === 0 ? (
        <Empty>{t.tx.nothingMoved}</Empty>
      ) : (
        <table className="balances">
          <thead>
            <tr>
              <th>{t.tx.account}</th>
              <th className="number">{t.tx.net}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((balance) => (
              <tr key={`${balance.account}/${balance.asset ?? ""}`}>
                <td>
                  <Account tx={tx} of={balance.account} />
                </td>
                <td className="number">
                  {!balance.net.startsWith("-") && "+"}
                  {assetAmount(tx, balance.asset, balance.net)}{" "}
                  <span translate="no">{assetName(tx, balance.asset, t.tx.coins)}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {tx.balances.length > 100 && <Partial>{t.tx.more(tx.balances.length - shown.length)}</Partial>}
    </Panel>
  );
}

function FrameDetail({ tx, at, frame }: { tx: Transaction; at: number; frame: CallFrame }) {
  const t = useWords();
  const moved = tx.transfers.filter((transfer) => transfer.frame === at).slice(0, 20);
  const link = new URL(to(["tx", tx.chain, tx.hash], { frame: at }), window.location.href).href;
  return (
    <section className="frame-detail" aria-label={t.tx.frame(at)}>
      <div className="panel-head">
        <h3>
          {t.tx.frame(at)} · {word(t.frameKinds, frame.kind)}
        </h3>
        <Copy text={link}>{t.copyLink} </Copy>
      </div>
      <Facts
        of={[
          [t.tx.from, <Account key="from" tx={tx} of={frame.from} />],
          [t.tx.to, <Account key="to" tx={tx} of={frame.to} />],
          ...(frame.code === frame.to ? [] : [[t.tx.code, <Account key="code" tx={tx} of={frame.code} />] as [string, React.ReactNode]]),
          [t.tx.function, frame.function == null ? "–" : <Raw key="function" mono>{frame.function}</Raw>],
          [t.tx.gas, count(frame.gas_used)],
          ...(frame.value == null ? [] : [[t.tx.value, `${amount(frame.value, 18)} ${t.tx.coins}`] as [string, React.ReactNode]]),
          ...(frame.error == null ? [] : [[t.tx.error, <Raw key="error">{frame.error}</Raw>] as [string, React.ReactNode]]),
        ]}
      />
      {frame.arguments != null && <Evidence of={frame.arguments as Record<string, unknown>} />}
      {moved.length > 0 && (
        <ol className="plain">
          {moved.map((transfer, place) => (
            <li key={place}>
              <Account tx={tx} of={transfer.from} /> → <Account tx={tx} of={transfer.to} />{" "}
              {assetAmount(tx, transfer.asset, transfer.amount)}{" "}
              <span translate="no">{assetName(tx, transfer.asset, t.tx.coins)}</span>
            </li>
          ))}
        </ol>
      )}
      <details>
        <summary>{t.tx.data(count(frame.input_bytes))}</summary>
        <pre className="code" translate="no" tabIndex={0}>
          {frame.input}
          {frame.input_bytes * 2 + 2 > frame.input.length && "…"}
          {frame.output !== "0x" && `\n→ ${frame.output}`}
        </pre>
      </details>
    </section>
  );
}
