// Evidence: names and values of any shape, as nested lists. All of it is text from outside.
import { word, useWords } from "../lib/words";
import { Hex, Raw } from "./Text";

const HEX = /^0x[0-9a-f]{40,}$/i;
/** Items of one list that are shown. */
const MOST = 200;

export function Evidence({ of, without = [] }: { of: Record<string, unknown>; without?: string[] }) {
  const t = useWords();
  const entries = Object.entries(of).filter(([name, value]) => !without.includes(name) && value !== null);
  if (entries.length === 0) return <p className="muted">{t.finding.noEvidence}</p>;
  return (
    <dl className="evidence">
      {entries.slice(0, MOST).map(([name, value]) => (
        <div key={name}>
          <dt>{Object.hasOwn(t.evidence, name) ? word(t.evidence, name) : <Raw>{name}</Raw>}</dt>
          <dd>
            <Value of={value} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Value({ of, depth = 0 }: { of: unknown; depth?: number }) {
  if (typeof of === "string") return HEX.test(of) ? <Hex value={of} /> : <Raw>{of}</Raw>;
  if (Array.isArray(of)) {
    if (of.length === 0) return <>–</>;
    return (
      <ul>
        {of.slice(0, MOST).map((value: unknown, place) => (
          <li key={place}>
            <Value of={value} depth={depth + 1} />
          </li>
        ))}
      </ul>
    );
  }
  if (of !== null && typeof of === "object" && depth < 6) {
    return (
      <dl className="inner">
        {Object.entries(of)
          .slice(0, MOST)
          .map(([name, value]) => (
            <div key={name}>
              <dt>
                <Raw>{name}</Raw>
              </dt>
              <dd>
                <Value of={value} depth={depth + 1} />
              </dd>
            </div>
          ))}
      </dl>
    );
  }
  return <Raw>{typeof of === "object" ? JSON.stringify(of) : String(of)}</Raw>;
}
