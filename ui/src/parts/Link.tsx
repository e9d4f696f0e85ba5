// A link inside the UI: an ordinary address, followed without a reload.
import type { AnchorHTMLAttributes } from "react";

import { go } from "../lib/router";

export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  return (
    <a
      {...rest}
      href={href}
      onClick={(event) => {
        onClick?.(event);
        const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
        if (!plain || event.defaultPrevented) return;
        event.preventDefault();
        go(href);
        window.scrollTo(0, 0);
      }}
    />
  );
}
