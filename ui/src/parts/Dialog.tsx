// A dialog: the browser's own, which keeps the focus inside and gives it back to who opened it.
import { type ReactNode, useEffect, useId, useRef } from "react";

import { useWords } from "../lib/words";

export function Dialog({ opened, onClose, title, children }: { opened: boolean; onClose: () => void; title: string; children: ReactNode }) {
  const t = useWords();
  const id = useId();
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = box.current;
    if (dialog === null) return;
    if (opened && !dialog.open) {
      dialog.showModal();
      dialog.querySelector<HTMLElement>("[data-autofocus]")?.focus();
    }
    if (!opened && dialog.open) dialog.close();
  }, [opened]);
  return (
    <dialog
      ref={box}
      aria-labelledby={id}
      onClose={onClose}
      // A press beside it closes it.
      onClick={(event) => event.target === box.current && onClose()}
    >
      {opened && (
        <div className="dialog">
          <div className="panel-head">
            <h2 id={id}>{title}</h2>
            <button type="button" className="btn" onClick={onClose}>
              {t.close}
            </button>
          </div>
          {children}
        </div>
      )}
    </dialog>
  );
}
