// The API, typed from its own description. One way to ask, one shape of error.
import { QueryClient, useInfiniteQuery, useQuery } from "@tanstack/react-query";

import { server } from "../lib/router";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Finding = Schemas["Finding"];
export type Chain = Schemas["Chain"];
export type Endpoint = Schemas["Endpoint"];
export type Coverage = Schemas["Coverage"];
export type CoverageRange = Schemas["CoverageRange"];
export type ProcessedBlock = Schemas["ProcessedBlock"];
export type RecentBlock = Schemas["RecentBlock"];
export type Transaction = Schemas["Transaction"];
export type CallFrame = Schemas["CallFrame"];
export type ContractRisk = Schemas["ContractRisk"];
export type ContractCosts = Schemas["ContractCosts"];
export type Rule = Schemas["Rule"];
export type Token = Schemas["Token"];
export type MadeToken = Schemas["MadeToken"];
export type Overview = Schemas["Overview"];
export type Hit = Schemas["Hit"];
export type Status = Schemas["Status"];
export type Message = Schemas["Message"];

/** Why an answer did not come. */
export class Refusal extends Error {
  constructor(
    /** HTTP status; 0 when nobody answered. */
    readonly status: number,
    /** Stable name of the problem. */
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

const KEY = "token";
let token = "";
try {
  token = localStorage.getItem(KEY) ?? "";
} catch {
  // Private mode: the token lasts as long as the page.
}

export const credentials = {
  has: (): boolean => token !== "",
  set: (value: string): void => {
    token = value;
    try {
      if (value === "") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, value);
    } catch {
      // See above.
    }
    void client.invalidateQueries();
    for (const listener of changed) listener();
  },
  onChange: (listener: () => void): (() => void) => {
    changed.add(listener);
    return () => changed.delete(listener);
  },
};
const changed = new Set<() => void>();

/** Asks the server; throws a `Refusal` unless it answers well. */
export async function ask(address: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token !== "") headers.set("Authorization", `Bearer ${token}`);
  let answer: Response;
  try {
    answer = await fetch(server(address), { ...init, headers, cache: "no-store" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(0, "unreachable", String(error));
  }
  if (answer.ok) return answer;
  const problem = (await answer.json().catch(() => ({}))) as Partial<Schemas["Problem"]>;
  throw new Refusal(answer.status, problem.code ?? "unknown", problem.detail ?? answer.statusText);
}

type GetPath = { [P in keyof paths]: paths[P] extends { get: unknown } ? P : never }[keyof paths];
type Get<P extends GetPath> = paths[P]["get"];
type Answer<P extends GetPath> = Get<P> extends {
  responses: { 200: { content: { "application/json": infer T } } };
}
  ? T
  : never;
type Inputs<P extends GetPath> = Get<P> extends { parameters: infer T } ? T : never;
type PathInput<P extends GetPath> = Inputs<P> extends { path: infer T } ? T : Record<string, never>;
type QueryInput<P extends GetPath> = Inputs<P> extends { query?: infer T } ? T : never;

function address(path: string, inside: object, query: object): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String((inside as Record<string, unknown>)[name])),
  );
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return filled.slice(1) + (text === "" ? "" : `?${text}`);
}

/** One answer of the API. */
export async function get<P extends GetPath>(
  path: P,
  inside: PathInput<P>,
  query: QueryInput<P> | Record<string, never> = {},
  signal?: AbortSignal,
): Promise<Answer<P>> {
  const answer = await ask(address(path, inside as object, query as object), signal ? { signal } : {});
  return (await answer.json()) as Answer<P>;
}

/** Sends something; gives the answer's JSON, or nothing where there is none. */
export async function send<T>(method: "POST" | "DELETE", address: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  const answer = await ask(address, init);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** Whether the person looking wants what is shown to stand still. */
export const pace = { paused: false };

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      refetchOnWindowFocus: true,
      retry: (count, error) => error instanceof Refusal && error.status === 0 && count < 1,
    },
  },
});

/** What an answer is asked again by. */
export interface Freshness {
  /** Milliseconds between two looks, beside what live events say. */
  every?: number;
  enabled?: boolean;
}

/** An answer that stays fresh while it is shown. */
export function useGet<P extends GetPath>(
  path: P,
  inside: PathInput<P>,
  query: QueryInput<P> | Record<string, never> = {},
  { every = 0, enabled = true }: Freshness = {},
) {
  return useQuery<Answer<P>, Error>({
    queryKey: [path, inside, query],
    queryFn: ({ signal }) => get(path, inside, query, signal),
    refetchInterval: () => (every === 0 || pace.paused ? false : every),
    placeholderData: (before) => before,
    enabled,
  });
}

type Listed<P extends GetPath> = Answer<P> extends { items: (infer T)[] } ? T : never;

/** A list that grows as it is scrolled. */
export function usePages<P extends GetPath>(
  path: P,
  inside: PathInput<P>,
  query: QueryInput<P> | Record<string, never> = {},
) {
  return useInfiniteQuery({
    queryKey: [path, inside, query, "pages"],
    queryFn: async ({ pageParam, signal }) => {
      const asked = { ...(query as object), cursor: pageParam } as unknown as QueryInput<P>;
      return (await get(path, inside, asked, signal)) as unknown as { items: Listed<P>[]; next?: string | null };
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: (before) => before,
  });
}
