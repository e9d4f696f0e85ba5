// Live events: one stream for the page. An event says that something changed; what is shown is then
// asked for anew, at most twice a second. A fetch is used since an EventSource carries no token.
import { useSyncExternalStore } from "react";

import { ask, client, credentials, pace, Refusal } from "./client";

export type LiveState = "connecting" | "live" | "paused" | "lost";

export interface Live {
  state: LiveState;
  /** When the connection is tried again; while it is lost. */
  retryAt: number | null;
  /** When something last came. */
  heardAt: number | null;
}

let live: Live = { state: "connecting", retryAt: null, heardAt: null };
const listeners = new Set<() => void>();
let stop: AbortController | null = null;
let hurry: () => void = () => undefined;
let lastId = "";

function set(change: Partial<Live>): void {
  live = { ...live, ...change };
  for (const listener of listeners) listener();
}

export function useLive(): Live {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => live,
  );
}

/** Stops and resumes the stream. */
export function setPaused(paused: boolean): void {
  pace.paused = paused;
  if (paused) {
    set({ state: "paused", retryAt: null });
    stop?.abort();
  } else if (live.state === "paused") {
    set({ state: "connecting" });
    hurry();
  }
}

/** Which answers an event makes old. */
const touched: Record<string, readonly string[]> = {
  block: ["/api/v1/status", "/api/v1/chains", "/api/v1/chains/{chain}", "/api/v1/chains/{chain}/recent",
    "/api/v1/chains/{chain}/blocks", "/api/v1/chains/{chain}/coverage"],
  finding: ["/api/v1/status", "/api/v1/findings", "/api/v1/findings/{id}", "/api/v1/overview", "/api/v1/rules"],
  health: ["/api/v1/status", "/api/v1/chains", "/api/v1/chains/{chain}"],
};

const due = new Set<string>();
let timer: number | undefined;

function refresh(topic: string): void {
  const paths = topic === "lost" ? Object.values(touched).flat() : (touched[topic] ?? []);
  for (const path of paths) due.add(path);
  timer ??= window.setTimeout(() => {
    timer = undefined;
    const now = new Set(due);
    due.clear();
    void client.invalidateQueries({ predicate: (query) => now.has(String(query.queryKey[0])) });
  }, 400);
}

/** One event of the stream, of its lines. */
function take(block: string): void {
  let topic = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) topic = line.slice(6).trim();
    else if (line.startsWith("id:")) lastId = line.slice(3).trim();
  }
  if (topic !== "") refresh(topic);
}

async function follow(signal: AbortSignal): Promise<void> {
  const headers: Record<string, string> = lastId === "" ? {} : { "Last-Event-ID": lastId };
  const answer = await ask("api/v1/stream", { signal, headers });
  set({ state: "live", retryAt: null, heardAt: Date.now() });
  refresh("lost");
  const reader = answer.body?.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const next = await reader?.read();
    if (next === undefined || next.done) return;
    live = { ...live, heardAt: Date.now() };
    rest += decoder.decode(next.value, { stream: true });
    const blocks = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) take(block);
  }
}

/** Keeps the stream for as long as the page lives. */
export async function listen(): Promise<never> {
  credentials.onChange(() => {
    lastId = "";
    stop?.abort();
    hurry();
  });
  for (let wait = 1_000; ; wait = Math.min(wait * 2, 15_000)) {
    if (live.state === "paused") {
      await new Promise<void>((resume) => (hurry = resume));
    }
    stop = new AbortController();
    const began = Date.now();
    try {
      await follow(stop.signal);
    } catch (error) {
      // Without a token there is nothing to try again until there is one.
      if (error instanceof Refusal && error.status === 401) wait = 15_000;
    }
    if ((live as Live).state === "paused") continue;
    if (Date.now() - began > 5_000) wait = 1_000;
    set({ state: "lost", retryAt: Date.now() + wait });
    await new Promise<void>((resume) => {
      hurry = resume;
      window.setTimeout(resume, wait);
    });
  }
}
