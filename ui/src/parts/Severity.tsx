// How bad something is: colour, shape and word, never colour alone.
import type { ReactNode } from "react";

import { useWords, word } from "../lib/words";

export type Mark = "P0" | "P1" | "P2" | "P3" | "ok" | "unknown";

const SHAPES: Record<Mark, ReactNode> = {
  P0: <path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" fill="currentColor" />,
  P1: <path d="M8 1l7.5 14H.5z" fill="currentColor" />,
  P2: <path d="M8 .5L15.5 8 8 15.5.5 8z" fill="currentColor" />,
  P3: <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="3" />,
  ok: <path d="M2 8.5l4 4 8-9" fill="none" stroke="currentColor" strokeWidth="2.4" />,
  unknown: (
    <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="2" strokeDasharray="3 2" />
  ),
};

export const SEVERITIES = ["P0", "P1", "P2", "P3"] as const;

export function isMark(name: string): name is Mark {
  return Object.hasOwn(SHAPES, name);
}

/** A shape alone, for where the word stands beside it. */
export function Shape({ mark }: { mark: Mark }) {
  return (
    <svg viewBox="0 0 16 16" className={`shape sev-${mark}`} aria-hidden="true">
      {SHAPES[mark]}
    </svg>
  );
}

/** A severity or state with its word; `children` in the word's place. */
export function Severity({ of, children }: { of: string; children?: ReactNode }) {
  const t = useWords();
  const mark: Mark = isMark(of) ? of : "unknown";
  return (
    <span className={`severity sev-${mark}`}>
      <Shape mark={mark} />
      <span>{children ?? word(t.severities, of)}</span>
    </span>
  );
}
