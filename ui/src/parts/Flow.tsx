// Where money went in a transaction: a drawing of few payments, and always the list of them in order.
import type { Transaction } from "../api/client";
import { count, short } from "../lib/format";
import { useWords } from "../lib/words";
import { Account, assetAmount, assetName } from "./Account";
import { Empty, Partial } from "./States";

/** Payments between the same two of the same asset, as one. */
interface Edge {
  from: number;
  to: number;
  asset: number | null;
  amount: bigint;
  /** Numbers of the payments, from 1. */
  order: number[];
}

const MOST_DRAWN = 24;
const MOST_LISTED = 200;

function edges(tx: Transaction): Edge[] {
  const all = new Map<string, Edge>();
  tx.transfers.forEach((transfer, place) => {
    const asset = transfer.asset ?? null;
    const key = `${transfer.from}/${transfer.to}/${asset}`;
    const edge = all.get(key) ?? { from: transfer.from, to: transfer.to, asset, amount: 0n, order: [] };
    edge.amount += BigInt(transfer.amount);
    edge.order.push(place + 1);
    all.set(key, edge);
  });
  return [...all.values()];
}

/** Numbers as people write them: `1–3, 7`. */
function numbers(order: number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < order.length; ) {
    let end = at;
    while (order[end + 1] === (order[end] ?? 0) + 1) end += 1;
    parts.push(end === at ? String(order[at]) : `${order[at]}–${order[end]}`);
    at = end + 1;
  }
  return parts.length > 4 ? `${parts.slice(0, 4).join(", ")}…` : parts.join(", ");
}

export function Flow({ tx }: { tx: Transaction }) {
  const t = useWords();
  if (tx.transfers.length === 0) return <Empty>{t.tx.nothingMoved}</Empty>;
  const all = edges(tx);
  return (
    <>
      {all.length <= MOST_DRAWN ? <Drawing tx={tx} of={all} /> : <Partial>{t.tx.flowLarge(all.length)}</Partial>}
      <div className="scroll" tabIndex={0} role="group" aria-label={t.tx.flow}>
        <table className="cards flow">
          <thead>
            <tr>
              <th className="number">#</th>
              <th>{t.tx.from}</th>
              <th>{t.tx.to}</th>
              <th className="number">{t.tx.amount}</th>
              <th>{t.tx.asset}</th>
            </tr>
          </thead>
          <tbody>
            {all.slice(0, MOST_LISTED).map((edge) => (
              <tr key={`${edge.from}/${edge.to}/${edge.asset}`}>
                <td className="number">{numbers(edge.order)}</td>
                <td data-name={t.tx.from}>
                  <Account tx={tx} of={edge.from} />
                </td>
                <td data-name={t.tx.to}>
                  <Account tx={tx} of={edge.to} />
                </td>
                <td className="number">{assetAmount(tx, edge.asset, String(edge.amount))}</td>
                <td>
                  <span translate="no">{assetName(tx, edge.asset, t.tx.coins)}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {all.length > MOST_LISTED && <Partial>{t.tx.more(all.length - MOST_LISTED)}</Partial>}
    </>
  );
}

const WIDE = 150;
const TALL = 34;
const GAP_X = 150;
const GAP_Y = 26;

/** Accounts in columns by how far the money had come, payments between them. */
function Drawing({ tx, of }: { tx: Transaction; of: Edge[] }) {
  const t = useWords();
  // An account stands one column behind who paid it first.
  const column = new Map<number, number>();
  for (const edge of of) {
    if (!column.has(edge.from)) column.set(edge.from, 0);
    if (!column.has(edge.to)) column.set(edge.to, Math.min((column.get(edge.from) ?? 0) + 1, 4));
  }
  const filled: number[] = [];
  const places = new Map<number, { x: number; y: number }>();
  for (const [account, at] of column) {
    const row = filled[at] ?? 0;
    filled[at] = row + 1;
    places.set(account, { x: 4 + at * (WIDE + GAP_X), y: 14 + row * (TALL + GAP_Y) });
  }
  const columns = Math.max(...column.values()) + 1;
  const width = columns * WIDE + (columns - 1) * GAP_X + 8;
  const height = Math.max(...filled.map((rows) => rows ?? 0)) * (TALL + GAP_Y) + 30;
  const lanes = new Map<string, number>();
  return (
    <div className="scroll" tabIndex={0} role="group" aria-label={t.tx.drawing}>
      <svg
        className="flow-drawing"
        viewBox={`0 0 ${width} ${height}`}
        style={{ width, height }}
        role="img"
        aria-label={t.tx.flowLabel(count(tx.transfers.length), count(column.size))}
      >
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
            <path d="M0 0l8 4-8 4z" className="arrow" />
          </marker>
        </defs>
        {of.map((edge) => {
          const from = places.get(edge.from);
          const end = places.get(edge.to);
          if (from === undefined || end === undefined) return null;
          const pair = `${Math.min(edge.from, edge.to)}/${Math.max(edge.from, edge.to)}`;
          const lane = lanes.get(pair) ?? 0;
          lanes.set(pair, lane + 1);
          const forward = end.x > from.x;
          const shift = (lane % 5) * 8 - 8;
          const x1 = forward ? from.x + WIDE : from.x + (end.x === from.x ? WIDE : 0);
          const x2 = forward ? end.x : end.x + WIDE;
          const y1 = from.y + TALL / 2 + shift;
          const y2 = end.y + TALL / 2 + shift;
          const bend = end.x === from.x ? 60 : (x2 - x1) / 2;
          const path = `M${x1} ${y1}C${x1 + bend} ${y1} ${end.x === from.x ? x2 + bend : x2 - bend} ${y2} ${x2} ${y2}`;
          return (
            <g key={`${edge.from}/${edge.to}/${edge.asset}`} className="flow-edge">
              <path d={path} markerEnd="url(#arrow)">
                <title>{`${numbers(edge.order)}: ${assetAmount(tx, edge.asset, String(edge.amount))} ${assetName(tx, edge.asset, t.tx.coins)}`}</title>
              </path>
              <text x={(x1 + x2) / 2} y={(y1 + y2) / 2 - 3} textAnchor="middle">
                <tspan className="flow-order">{numbers(edge.order)} </tspan>
                {assetAmount(tx, edge.asset, String(edge.amount)).slice(0, 14)}{" "}
                {assetName(tx, edge.asset, t.tx.coins).slice(0, 10)}
              </text>
            </g>
          );
        })}
        {[...places].map(([account, { x, y }]) => {
          const known = tx.accounts[account];
          const name = known?.name ?? known?.symbol ?? short(known?.address ?? "");
          return (
            <g key={account} className={account === tx.sender ? "flow-node sender" : "flow-node"}>
              <rect x={x} y={y} width={WIDE} height={TALL} rx="4" />
              <text x={x + WIDE / 2} y={y + TALL / 2 + 4} textAnchor="middle">
                <title>{known?.address}</title>
                {name.slice(0, 20)}
              </text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}
