// Where money went, or came from: each account on the way with what it got, and where the ways end.
import { amount, count } from "../lib/format";
import { to } from "../lib/router";
import { useWords, word } from "../lib/words";
import { Empty, Partial } from "./States";
import { Hex, Raw } from "./Text";

export interface Funds {
  root: string;
  nodes: {
    address: string;
    hops: number;
    label: { kind: string; name: string } | null;
    received: Record<string, string> | { asset: string; amount: string }[];
    ending: string | null;
  }[];
  edges: {
    from: string;
    to: string;
    asset: unknown;
    amount: string;
    transactions: number;
    first_tx: string | null;
    last_time: number;
  }[];
  notes: string[];
}

const MOST = 200;

export function FundGraph({ of, chain }: { of: Funds; chain: string }) {
  const t = useWords();
  if (of.edges.length === 0) return <Empty>{t.funds.nothing}</Empty>;
  const node = new Map(of.nodes.map((one) => [one.address, one]));
  const hops = (address: string): number => node.get(address)?.hops ?? 0;
  const edges = [...of.edges].sort((a, b) => hops(a.from) - hops(b.from)).slice(0, MOST);
  const native = (asset: unknown): boolean => asset === "native" || asset === null;
  return (
    <>
      {of.notes.map((note) => (
        <Partial key={note}>
          <Raw>{note}</Raw>
        </Partial>
      ))}
      <p className="muted">{t.funds.found(count(of.nodes.length), count(of.edges.length))}</p>
      <div className="scroll" tabIndex={0} role="group" aria-label={t.funds.title}>
        <table className="cards">
          <thead>
            <tr>
              <th className="number">{t.funds.hops}</th>
              <th>{t.tx.from}</th>
              <th>{t.tx.to}</th>
              <th className="number">{t.tx.amount}</th>
              <th>{t.tx.asset}</th>
              <th>{t.funds.first}</th>
              <th>{t.funds.ends}</th>
            </tr>
          </thead>
          <tbody>
            {edges.map((edge, place) => {
              const end = node.get(edge.to);
              return (
                <tr key={place}>
                  <td className="number" data-name={t.funds.hops}>
                    {hops(edge.to)}
                  </td>
                  <td data-name={t.tx.from}>
                    <Hex value={edge.from} name={node.get(edge.from)?.label?.name} />
                  </td>
                  <td data-name={t.tx.to}>
                    <Hex value={edge.to} name={end?.label?.name} />
                  </td>
                  <td className="number">{native(edge.asset) ? amount(edge.amount, 18) : amount(edge.amount, 0)}</td>
                  <td>{native(edge.asset) ? t.tx.coins : <Raw>{String(edge.asset)}</Raw>}</td>
                  <td>{edge.first_tx != null && <Hex value={edge.first_tx} href={to(["tx", chain, edge.first_tx])} />}</td>
                  <td>{end?.ending != null && word(t.funds.endings, end.ending)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {of.edges.length > MOST && <Partial>{t.tx.more(of.edges.length - MOST)}</Partial>}
    </>
  );
}
