// Text from outside. It is only ever text: never markup, never longer than the screen can bear, and
// kept from turning the writing direction of what stands around it.
import { type ReactNode, useState } from "react";

import { short } from "../lib/format";
import { useWords } from "../lib/words";
import { Link } from "./Link";

const HEX = /(0x[0-9a-fA-F]{40,})/;
/** Characters of one text that are shown at first. */
const LONGEST = 2_000;

/** Signs that cannot be seen, but change how the rest is read: shown as their numbers. */
function visible(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
    (sign) => `⟨U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
  );
}

/** Text as it was sent, with long hashes and addresses cut. */
export function Raw({ children, mono = false }: { children: string; mono?: boolean }) {
  const t = useWords();
  const [whole, setWhole] = useState(false);
  const long = !whole && children.length > LONGEST;
  const parts = visible(long ? children.slice(0, LONGEST) : children).split(HEX);
  return (
    <span translate="no" className={mono ? "raw mono" : "raw"}>
      {parts.map((part, place) =>
        HEX.test(part) ? (
          <span key={place} className="hex" title={part}>
            {short(part)}
          </span>
        ) : (
          part
        ),
      )}
      {long && (
        <button type="button" className="link" translate="yes" onClick={() => setWhole(true)}>
          {t.showAll(children.length)}
        </button>
      )}
    </span>
  );
}

/** A hash or an address: cut, with the whole in the tooltip and a button that copies it. */
export function Hex({ value, name, href }: { value: string; name?: string | null | undefined; href?: string }) {
  const shown: ReactNode = (
    <>
      {name != null && name !== "" && <b className="hex-name">{visible(name.slice(0, 60))}</b>}
      <span className="hex">{short(value)}</span>
    </>
  );
  return (
    <span className="hexed" translate="no" title={value}>
      {href === undefined ? shown : <Link href={href}>{shown}</Link>}
      <Copy text={value} />
    </span>
  );
}

export function Copy({ text, children }: { text: string; children?: ReactNode }) {
  const t = useWords();
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      className={children === undefined ? "copy" : "btn"}
      translate="yes"
      aria-label={children === undefined ? t.copy : undefined}
      title={t.copy}
      onClick={() => {
        void navigator.clipboard?.writeText(text).then(() => {
          setDone(true);
          window.setTimeout(() => setDone(false), 1_500);
        });
      }}
    >
      {children}
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {done ? (
          <path d="M2 8.5l4 4 8-9" fill="none" stroke="currentColor" strokeWidth="2" />
        ) : (
          <path d="M6 5h8v9H6zM3 11H2V2h8v1" fill="none" stroke="currentColor" strokeWidth="1.5" />
        )}
      </svg>
    </button>
  );
}

