// Ages that go on by themselves. One clock for the whole page.
import { useSyncExternalStore } from "react";

import { moment, span } from "../lib/format";
import { language } from "../lib/language";
import { useWords } from "../lib/words";

let now = Date.now();
const listeners = new Set<() => void>();
window.setInterval(() => {
  now = Date.now();
  for (const listener of listeners) listener();
}, 1_000);

export function useNow(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => now,
  );
}

/** How long ago a moment was; the moment itself in the tooltip. */
export function Ago({ at }: { at: number }) {
  const t = useWords();
  const shown = span(useNow() - at, language.use());
  return (
    <time className="nowrap" dateTime={new Date(at).toISOString()} title={moment(at)}>
      {t.ago(shown)}
    </time>
  );
}
