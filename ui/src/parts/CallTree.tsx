// A transaction's calls as a tree. Interesting ones first; only rows near the screen are drawn, so
// that tens of thousands open at once. Each call has an address of its own.
import { Switch, TextInput } from "./Fields";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useDeferredValue, useEffect, useId, useMemo, useRef, useState } from "react";

import type { CallFrame, Transaction } from "../api/client";
import { amount, count, short } from "../lib/format";
import { change, usePlace } from "../lib/router";
import { useWords, word } from "../lib/words";
import { Empty } from "./States";
import { Raw } from "./Text";

/** Below this many calls all of them are shown at first. */
const FEW = 30;

/** Calls to show: those that are worth a look with all around them, or those that fit a text. */
function chosen(frames: CallFrame[], fits: (frame: CallFrame, at: number) => boolean): Set<number> {
  const shown = new Set<number>();
  frames.forEach((frame, at) => {
    if (!fits(frame, at)) return;
    for (let next: number | null | undefined = at; next != null && !shown.has(next); next = frames[next]?.parent) {
      shown.add(next);
    }
  });
  return shown;
}

export function CallTree({ tx, detail }: { tx: Transaction; detail: (at: number, frame: CallFrame) => ReactNode }) {
  const t = useWords();
  const id = useId();
  const { query } = usePlace();
  const { frames, accounts } = tx;
  const linked = Number(query.get("frame") ?? "-1");
  const [selected, setSelected] = useState(-1);
  // The address follows the walk with a pause: browsers allow few changes of it a second.
  const written = useRef<number | null>(null);
  useEffect(() => {
    if (linked === written.current) return;
    setSelected(Number.isInteger(linked) && linked >= 0 && linked < frames.length ? linked : -1);
  }, [linked, frames.length]);
  useEffect(() => {
    if (selected < 0 || selected === linked) return;
    const timer = window.setTimeout(() => {
      written.current = selected;
      change({ frame: selected }, "replace");
    }, 250);
    return () => window.clearTimeout(timer);
  }, [selected, linked]);
  const marked = useMemo(() => frames.some((frame) => (frame.marks?.length ?? 0) > 0), [frames]);
  const [only, setOnly] = useState(marked && frames.length > FEW);
  const [text, setText] = useState("");
  const needle = useDeferredValue(text.trim().toLowerCase());
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set());

  const named = useMemo(
    () => accounts.map((account) => `${account.name ?? ""} ${account.symbol ?? ""} ${account.address}`.toLowerCase()),
    [accounts],
  );
  // Which call is chosen matters to what is shown only where not all are.
  const kept = only ? selected : -1;
  const visible = useMemo(() => {
    const pick =
      needle !== ""
        ? chosen(frames, (frame) =>
            `${frame.function ?? ""} ${frame.error ?? ""} ${named[frame.to] ?? ""} ${named[frame.code] ?? ""}`
              .toLowerCase()
              .includes(needle),
          )
        : only
          ? chosen(frames, (frame, at) => at === kept || at === 0 || (frame.marks?.length ?? 0) > 0)
          : null;
    const list: number[] = [];
    let below = Number.POSITIVE_INFINITY;
    frames.forEach((frame, at) => {
      if (frame.depth > below) return;
      below = Number.POSITIVE_INFINITY;
      if (pick !== null && !pick.has(at)) return;
      list.push(at);
      if (folded.has(at)) below = frame.depth;
    });
    return list;
  }, [frames, named, needle, only, folded, kept]);
  const parents = useMemo(() => new Set(frames.map((frame) => frame.parent)), [frames]);

  const box = useRef<HTMLDivElement>(null);
  const touch = window.matchMedia("(pointer: coarse), (max-width: 720px)").matches;
  const rows = useVirtualizer({
    count: visible.length,
    getScrollElement: () => box.current,
    estimateSize: () => (touch ? 44 : 24),
    overscan: 10,
  });
  const place = visible.indexOf(selected);
  useEffect(() => {
    if (place >= 0) rows.scrollToIndex(place, { align: "auto" });
    // Only when another call is chosen, or the list changes.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [place]);

  const select = (at: number | undefined): void => {
    if (at !== undefined) setSelected(at);
  };
  const fold = (at: number, closed: boolean): void => {
    const next = new Set(folded);
    if (closed) next.add(at);
    else next.delete(at);
    setFolded(next);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const frame = frames[selected];
    const jumps: Record<string, number> = {
      ArrowDown: place + 1,
      ArrowUp: place < 0 ? 0 : place - 1,
      Home: 0,
      End: visible.length - 1,
      PageDown: place + 20,
      PageUp: place - 20,
    };
    const next = jumps[event.key];
    if (next !== undefined) select(visible[Math.max(0, Math.min(visible.length - 1, next))]);
    else if (event.key === "ArrowLeft" && frame !== undefined) {
      if (parents.has(selected) && !folded.has(selected)) fold(selected, true);
      else if (frame.parent != null) select(frame.parent);
    } else if (event.key === "ArrowRight" && folded.has(selected)) fold(selected, false);
    else return;
    event.preventDefault();
  };

  if (frames.length === 0) return <Empty>{t.tx.noCalls}</Empty>;
  const chosenFrame = frames[selected];
  return (
    <>
      <div className="filters">
        <TextInput
          className="filter-text"
          label={t.tx.searchCalls}
          value={text}
          spellCheck={false}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        {marked && <Switch label={t.tx.onlyInteresting} checked={only} onChange={setOnly} />}
      </div>
      <p className="muted" role="status">
        {t.tx.shown(count(visible.length), count(frames.length))}
      </p>
      <div
        ref={box}
        className="tree"
        role="tree"
        aria-label={t.tx.callTree}
        tabIndex={0}
        aria-activedescendant={place >= 0 ? `${id}-${selected}` : undefined}
        onKeyDown={onKeyDown}
      >
        {/* The height of all rows; the drawn ones lie in it. */}
        <div role="presentation" className="tree-all" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((row) => {
            const at = visible[row.index];
            const frame = at === undefined ? undefined : frames[at];
            if (at === undefined || frame === undefined) return null;
            const opens = parents.has(at);
            return (
              <div
                key={at}
                id={`${id}-${at}`}
                role="treeitem"
                aria-level={frame.depth + 1}
                aria-selected={at === selected}
                aria-expanded={opens ? !folded.has(at) : undefined}
                data-frame={at}
                className={rowClass(frame, at === selected)}
                style={{
                  transform: `translateY(${row.start}px)`,
                  height: row.size,
                  paddingLeft: 4 + Math.min(frame.depth, 24) * 12,
                }}
                onClick={() => select(at)}
                onDoubleClick={() => opens && fold(at, !folded.has(at))}
              >
                <span
                  className={opens ? "fold" : "fold none"}
                  aria-hidden="true"
                  onClick={(event) => {
                    if (!opens) return;
                    event.stopPropagation();
                    fold(at, !folded.has(at));
                  }}
                >
                  {opens ? (folded.has(at) ? "▸" : "▾") : ""}
                </span>
                <span className="call-kind">{word(t.frameKinds, frame.kind)}</span>
                <span translate="no" className="call-name">
                  <b>{accountName(tx, frame.code)}</b>
                  {frame.function != null && <>.{<Raw>{frame.function.slice(0, 160)}</Raw>}</>}
                </span>
                {frame.value != null && (
                  <span className="call-value">
                    {amount(frame.value, 18)} {t.tx.coins}
                  </span>
                )}
                {(frame.marks ?? [])
                  .filter((mark) => mark !== "value")
                  .map((mark) => (
                    <span key={mark} className={`chip mark-${mark}`}>
                      {word(t.marks, mark)}
                    </span>
                  ))}
                {frame.error != null && (
                  <span className="call-error">
                    <Raw>{frame.error.slice(0, 160)}</Raw>
                  </span>
                )}
              </div>
            );
          })}
        </div>
      </div>
      {chosenFrame !== undefined && detail(selected, chosenFrame)}
    </>
  );
}

function accountName(tx: Transaction, of: number): string {
  const account = tx.accounts[of];
  return account === undefined ? "?" : (account.name ?? account.symbol ?? short(account.address));
}

function rowClass(frame: CallFrame, selected: boolean): string {
  const hot = frame.marks?.includes("evidence") === true ? "hot" : "";
  return `call ${hot} ${frame.reverted === true ? "reverted" : ""} ${selected ? "chosen" : ""}`;
}
