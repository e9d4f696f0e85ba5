// A long list as a dense table: only rows near the screen are drawn, `j` and `k` walk through it.
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";

import { isTyping } from "../lib/keys";
import { useWords } from "../lib/words";

export interface Column<T> {
  name: string;
  /** A CSS class that sizes and aligns the column. */
  className: string;
  cell: (item: T) => ReactNode;
}

export function Rows<T>({
  label,
  items,
  id,
  columns,
  more,
  total,
  className = "",
  rowClass,
}: {
  label: string;
  items: T[];
  id: (item: T) => string;
  columns: Column<T>[];
  /** Asks for the next page; none at the end. */
  more?: (() => void) | undefined;
  /** Rows in all, where known. */
  total?: number | undefined;
  className?: string;
  rowClass?: (item: T) => string;
}) {
  const t = useWords();
  const frame = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [at, setAt] = useState(-1);
  useLayoutEffect(() => {
    const place = frame.current?.getBoundingClientRect().top ?? 0;
    setTop(place + window.scrollY);
  }, [items.length]);
  const rows = useWindowVirtualizer({
    count: items.length,
    estimateSize: () => 32,
    overscan: 12,
    scrollMargin: top,
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : id(item);
    },
  });
  const drawn = rows.getVirtualItems();
  const last = drawn.at(-1)?.index ?? -1;
  useEffect(() => {
    if (more !== undefined && last >= items.length - 20) more();
  }, [last, items.length, more]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const step = event.key === "j" ? 1 : event.key === "k" ? -1 : 0;
      if (step === 0 || isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector("dialog[open]") !== null) return;
      event.preventDefault();
      setAt((now) => Math.max(0, Math.min(items.length - 1, now + step)));
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [items.length]);
  useEffect(() => {
    if (at < 0) return;
    rows.scrollToIndex(at);
    window.requestAnimationFrame(() => {
      frame.current?.querySelector<HTMLElement>(`[data-index="${at}"] a`)?.focus();
    });
    // Only when the chosen row changes.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [at]);

  return (
    <div
      role="table"
      aria-label={label}
      aria-rowcount={total ?? (more === undefined ? items.length + 1 : -1)}
      className={`rows ${className}`}
      ref={frame}
    >
      <div role="rowgroup" className="rows-head">
        <div role="row" className="rows-row">
          {columns.map((column) => (
            <span key={column.name} role="columnheader" className={column.className}>
              {column.name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="rows-body" style={{ height: rows.getTotalSize() }}>
        {drawn.map((row) => {
          const item = items[row.index];
          if (item === undefined) return null;
          return (
            <div
              key={row.key}
              role="row"
              aria-rowindex={row.index + 2}
              data-index={row.index}
              ref={rows.measureElement}
              className={`rows-row ${row.index === at ? "chosen" : ""} ${rowClass?.(item) ?? ""}`}
              style={{ transform: `translateY(${row.start - rows.options.scrollMargin}px)` }}
            >
              {columns.map((column) => (
                <span key={column.name} role="cell" className={column.className}>
                  {column.cell(item)}
                </span>
              ))}
            </div>
          );
        })}
      </div>
      {more !== undefined && <p className="muted">{t.states.more}</p>}
    </div>
  );
}
