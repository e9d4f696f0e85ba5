// Addresses: a path below the page's base, and search parameters that hold a view's state.
import { useSyncExternalStore } from "react";

// The server writes a relative base that fits the asked address; here it becomes absolute, before
// navigation changes the address.
const root = new URL(".", document.baseURI).pathname;
document.querySelector("base")?.setAttribute("href", root);

/** Where we are, relative to the base. */
export interface Place {
  /** The path's parts, decoded. */
  parts: string[];
  query: URLSearchParams;
}

const listeners = new Set<() => void>();
let seen = "";
let place: Place = { parts: [], query: new URLSearchParams() };

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function read(): Place {
  const { pathname, search } = window.location;
  const now = pathname + search;
  if (now !== seen) {
    seen = now;
    const inside = pathname.startsWith(root) ? pathname.slice(root.length) : "";
    const parts = inside.split("/").filter((part) => part !== "").map(decoded);
    place = { parts, query: new URLSearchParams(search) };
  }
  return place;
}

function tell(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

export function usePlace(): Place {
  return useSyncExternalStore(subscribe, read);
}

export type Query = Record<string, string | number | null | undefined>;

/** The address of a view: `path("findings", id)`. */
export function path(...parts: string[]): string {
  return root + parts.map(encodeURIComponent).join("/");
}

function search(query: Query): string {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") text.set(name, String(value));
  }
  const shown = text.toString();
  return shown === "" ? "" : `?${shown}`;
}

/** An address with search parameters. */
export function to(parts: string[], query: Query = {}): string {
  return path(...parts) + search(query);
}

/** Goes to an address of this UI. */
export function go(address: string, how: "push" | "replace" = "push"): void {
  if (how === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  tell();
}

/** Changes search parameters of the present view; empty values are left out. */
export function change(query: Query, how: "push" | "replace" = "push"): void {
  const now: Query = Object.fromEntries(new URLSearchParams(window.location.search));
  go(window.location.pathname + search({ ...now, ...query }), how);
}

/** The server's address of something: `server("api/v1/status")`. */
export function server(address: string): string {
  return root + address;
}
