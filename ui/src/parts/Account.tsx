// Accounts and amounts of a transaction, as people read them.
import type { Transaction } from "../api/client";
import { amount } from "../lib/format";
import { Hex } from "./Text";

/** How an account shows: its name, its symbol, or the begin and end of its address. */
export function Account({ tx, of }: { tx: Transaction; of: number }) {
  const account = tx.accounts[of];
  if (account === undefined) return <>–</>;
  return <Hex value={account.address} name={account.name ?? account.symbol} />;
}

/** The name of what moved. */
export function assetName(tx: Transaction, asset: number | null | undefined, native: string): string {
  if (asset == null) return native;
  const account = tx.accounts[asset];
  return account?.symbol ?? account?.name ?? `${account?.address.slice(0, 8) ?? ""}…`;
}

/** An amount in whole units, where the token says how; else in the smallest. */
export function assetAmount(tx: Transaction, asset: number | null | undefined, text: string): string {
  const decimals = asset == null ? 18 : (tx.accounts[asset]?.decimals ?? 0);
  return amount(text, decimals);
}
