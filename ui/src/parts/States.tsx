// What a view shows when it has nothing to show, each written once.
import type { UseQueryResult } from "@tanstack/react-query";
import { Component, type ReactNode, useEffect, useState } from "react";

import { Refusal } from "../api/client";
import { clock, span } from "../lib/format";
import { language } from "../lib/language";
import { useWords } from "../lib/words";
import { useNow } from "./Ago";
import { Shape } from "./Severity";
import { Copy, Raw } from "./Text";

/** An answer older than this is called old. */
const OLD = 60_000;

/** Nothing for a moment, then a shape of what comes, then words. */
export function Loading({ rows = 3, what }: { rows?: number; what?: string }) {
  const t = useWords();
  const [shown, setShown] = useState<"nothing" | "shape" | "words">("nothing");
  useEffect(() => {
    const shape = window.setTimeout(() => setShown("shape"), 150);
    const words = window.setTimeout(() => setShown("words"), 2_000);
    return () => {
      window.clearTimeout(shape);
      window.clearTimeout(words);
    };
  }, []);
  return (
    <div className="state loading" role="status" aria-busy="true" data-state="loading">
      {shown !== "nothing" &&
        Array.from({ length: rows }, (_, row) => <div key={row} className="skeleton" />)}
      <span className={shown === "words" ? "muted" : "unseen"}>{what ?? t.states.loading}</span>
    </div>
  );
}

/** Nothing is there, and that is no news. */
export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="state" data-state="empty">
      <Shape mark="unknown" />
      <p>{children}</p>
      {action}
    </div>
  );
}

/** Nothing is there, and that is good. */
export function AllGood({ children }: { children: ReactNode }) {
  return (
    <div className="state" data-state="good">
      <Shape mark="ok" />
      <p>{children}</p>
    </div>
  );
}

/** Something cannot be shown, since a part of the installation does not offer it: which, and the remedy. */
export function Missing({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="note missing" data-state="missing">
      <b>{title}</b>
      {children}
    </div>
  );
}

/** Only a part of the answer came. */
export function Partial({ children }: { children: ReactNode }) {
  return (
    <p className="note partial" role="status" data-state="partial">
      <Shape mark="P2" />
      <span>{children}</span>
    </p>
  );
}

/** What is shown is from earlier. */
export function Stale({ at }: { at: number }) {
  const t = useWords();
  const shown = language.use();
  return (
    <p className="note stale" role="status" data-state="stale">
      {t.states.stale(clock(at, shown), span(useNow() - at, shown))}
    </p>
  );
}

/** It failed: what, why, and what can be done. */
export function Failed({ error, retry }: { error: Error; retry?: () => void }) {
  const t = useWords();
  const refusal = error instanceof Refusal ? error : null;
  const title =
    refusal === null
      ? t.states.broken
      : refusal.status === 0
        ? t.states.unreachable
        : refusal.status === 401 || refusal.status === 403
          ? t.states.denied
          : refusal.status === 404
            ? t.states.notFound
            : refusal.status === 503
              ? t.states.notReady
              : t.states.failed;
  const details = `${refusal?.status ?? ""} ${refusal?.code ?? error.name}: ${error.message}`;
  return (
    <div className="note failed" role="alert" data-state="error">
      <b>{title}</b>
      <p>
        <Raw>{error.message}</Raw>
      </p>
      <div className="row">
        {retry !== undefined && (
          <button type="button" className="btn" onClick={retry}>
            {t.states.retry}
          </button>
        )}
        <Copy text={details.trim()}>{t.states.copyDetails} </Copy>
      </div>
    </div>
  );
}

/** An answer on its way, missing, old, or here. */
export function Answer<T>({
  of,
  rows,
  what,
  children,
}: {
  of: UseQueryResult<T, Error>;
  rows?: number;
  what?: string;
  children: (data: T) => ReactNode;
}) {
  const { data, error, isFetching, dataUpdatedAt, refetch } = of;
  const now = useNow();
  if (data === undefined) {
    if (error !== null) return <Failed error={error} retry={() => void refetch()} />;
    return <Loading {...(rows === undefined ? {} : { rows })} {...(what === undefined ? {} : { what })} />;
  }
  // A refusal for good is no reason to show what was there before.
  const refused = error instanceof Refusal && [401, 403, 404].includes(error.status);
  if (refused) return <Failed error={error} retry={() => void refetch()} />;
  const old = error !== null || now - dataUpdatedAt > OLD;
  return (
    <>
      {isFetching && <div className="refreshing" aria-hidden="true" />}
      {old && <Stale at={dataUpdatedAt} />}
      {children(data)}
    </>
  );
}

/** Keeps a fault of one part from taking the rest along. */
export class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: unknown): { error: Error } {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return <Failed error={error} retry={() => this.setState({ error: null })} />;
  }
}
