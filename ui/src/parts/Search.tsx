// Search from anywhere: a pasted hash, address, number or name leads to what it means.
import { TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useEffect, useId, useRef, useState } from "react";

import { type Hit, useGet } from "../api/client";
import { go, to } from "../lib/router";
import { useWords, word } from "../lib/words";
import { Dialog } from "./Dialog";
import { Failed } from "./States";
import { Raw } from "./Text";

/** The address of a hit. */
export function target(hit: Hit): string {
  const chain = hit.chain ?? "";
  switch (hit.kind) {
    case "transaction":
      return to(["tx", chain, hit.id]);
    case "block":
      return to(["chains", chain], { block: hit.id });
    case "address":
      return to(["findings"], { text: hit.id });
    case "contract":
      return to(["contracts", hit.id]);
    case "chain":
    case "endpoint":
      return to(["chains", chain]);
    case "rule":
      return to(["rules"], { rule: hit.id });
    default:
      return to(["findings", hit.id]);
  }
}

export function Search({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const t = useWords();
  return (
    <Dialog opened={opened} onClose={onClose} title={t.search.title}>
      <Box onClose={onClose} />
    </Dialog>
  );
}

function Box({ onClose }: { onClose: () => void }) {
  const t = useWords();
  const id = useId();
  const [text, setText] = useState("");
  const [asked] = useDebouncedValue(text.trim(), 150);
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const found = useGet("/api/v1/search", {}, { q: asked }, { enabled: asked !== "" });
  const hits: Hit[] = asked === "" ? [] : (found.data ?? []);
  useEffect(() => setAt(0), [asked]);
  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const open = (hit: Hit | undefined): void => {
    if (hit === undefined) return;
    onClose();
    go(target(hit));
  };
  return (
    <div className="search">
      <TextInput
        data-autofocus
        aria-label={t.search.title}
        placeholder={t.search.placeholder}
        value={text}
        role="combobox"
        aria-expanded={hits.length > 0}
        aria-controls={id}
        aria-activedescendant={hits.length > 0 ? `${id}-${at}` : undefined}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
          if (step !== 0) {
            event.preventDefault();
            setAt((now) => Math.max(0, Math.min(hits.length - 1, now + step)));
          } else if (event.key === "Enter") {
            event.preventDefault();
            open(hits[at]);
          }
        }}
      />
      {found.error !== null && asked !== "" && <Failed error={found.error} />}
      <ul id={id} role="listbox" aria-label={t.search.results} className="hits" ref={list}>
        {hits.map((hit, place) => (
          <li
            key={`${hit.kind}/${hit.chain}/${hit.id}`}
            id={`${id}-${place}`}
            role="option"
            aria-selected={place === at}
            onMouseMove={() => setAt(place)}
            onClick={() => open(hit)}
          >
            <span className="tag">{word(t.search.kinds, hit.kind)}</span>
            <span className="hit">
              <Raw mono={hit.id.startsWith("0x")}>{hit.kind === "finding" ? hit.title : hit.id}</Raw>
              {hit.kind !== "finding" && hit.title !== "" && (
                <span className="muted">
                  {" "}
                  {hit.kind === "transaction" ? `${t.block} ` : ""}
                  <Raw>{hit.title}</Raw>
                </span>
              )}
            </span>
            {hit.chain != null && (
              <span className="muted" translate="no">
                {hit.chain}
              </span>
            )}
          </li>
        ))}
      </ul>
      <p className="muted" role="status">
        {asked === "" ? t.search.help : found.isFetching ? t.search.looking : t.search.found(hits.length)}
      </p>
    </div>
  );
}
