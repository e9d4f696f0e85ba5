// What stands around every view: navigation, search, the state of the connection, who may look.
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useRef, useState } from "react";

import { credentials, Refusal, useGet } from "../api/client";
import { setPaused, useLive } from "../api/live";
import { clock, span } from "../lib/format";
import { isTyping } from "../lib/keys";
import { language } from "../lib/language";
import { to, usePlace } from "../lib/router";
import { theme } from "../lib/theme";
import { useWords } from "../lib/words";
import { Overview } from "../screens/Overview";
import { useNow } from "./Ago";
import { Dialog } from "./Dialog";
import { Link } from "./Link";
import { Head } from "./Panel";
import { Search } from "./Search";
import { SignIn } from "./SignIn";
import { Boundary, Empty, Loading } from "./States";
import { Raw } from "./Text";

const Findings = lazy(() => import("../screens/Findings"));
const FindingView = lazy(() => import("../screens/Finding"));
const Chains = lazy(() => import("../screens/Chain"));
const Transactions = lazy(() => import("../screens/Transactions"));
const TransactionView = lazy(() => import("../screens/Transaction"));
const Contracts = lazy(() => import("../screens/Contracts"));
const ContractView = lazy(() => import("../screens/Contract"));
const Rules = lazy(() => import("../screens/Rules"));
const Settings = lazy(() => import("../screens/Settings"));

const ROOMS = ["overview", "findings", "chains", "tx", "contracts", "rules", "settings"] as const;
type Room = (typeof ROOMS)[number];
/** What the bar at the foot of a phone holds; the rest is behind "more". */
const FOOT: readonly Room[] = ["overview", "findings", "chains"];

const ICONS: Record<Room | "more" | "search", ReactNode> = {
  overview: <path d="M2 9l6-6 6 6M4 8v6h8V8" />,
  findings: <path d="M8 1.5v8M8 12v2.5" strokeWidth="2.4" />,
  chains: <path d="M6 9.5L10 6.500M5 6H4a3 3 0 000 6h2a3 3 0 002-1M11 10h1a3 3 0 000-6h-2a3 3 0 00-2 1" />,
  tx: <path d="M2 5h11l-3-3M14 11H3l3 3" />,
  contracts: <path d="M4 1.500h6l3 3v10H4zM6.500 8h4M6.500 11h4" />,
  rules: <path d="M2 4h7M12 4h2M2 12h2M7 12h7M9 2v4M4 10v4" />,
  settings: <path d="M8 5a3 3 0 100 6 3 3 0 000-6zM8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.500 1.500M11.500 11.500L13 13M3 13l1.500-1.500M11.500 4.500L13 3" />,
  more: <path d="M2 4h12M2 8h12M2 12h12" />,
  search: <path d="M7 2a5 5 0 100 10A5 5 0 007 2zM11 11l4 4" />,
};

function Icon({ of }: { of: keyof typeof ICONS }) {
  return (
    <svg viewBox="0 0 16 16" className="icon" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.6">
      {ICONS[of]}
    </svg>
  );
}

function room(parts: string[]): Room | null {
  const [first] = parts;
  if (first === undefined) return "overview";
  return ROOMS.find((one) => one === first && one !== "overview") ?? null;
}

/** The view that an address names. */
function View({ parts }: { parts: string[] }) {
  const t = useWords();
  const [first, second, third, ...rest] = parts;
  const depth = parts.length;
  if (first === undefined) return <Overview />;
  if (first === "findings" && second === undefined) return <Findings />;
  if (first === "findings" && second !== undefined && depth === 2) return <FindingView id={second} />;
  if (first === "chains" && depth <= 2) return <Chains name={second ?? null} />;
  if (first === "tx" && second === undefined) return <Transactions />;
  if (first === "tx" && second !== undefined && third !== undefined && rest.length === 0) {
    return <TransactionView key={third} chain={second} hash={third} />;
  }
  if (first === "contracts" && second === undefined) return <Contracts />;
  if (first === "contracts" && second !== undefined && depth === 2) return <ContractView key={second} name={second} />;
  if (first === "rules" && depth === 1) return <Rules />;
  if (first === "settings" && depth === 1) return <Settings />;
  return (
    <>
      <Head title={t.notFound.title} />
      <Empty action={<Link href={to([])}>{t.notFound.home}</Link>}>{t.notFound.text}</Empty>
    </>
  );
}

export function Shell() {
  const t = useWords();
  const { parts } = usePlace();
  const [searching, setSearching] = useState(false);
  const [more, setMore] = useState(false);
  const me = useGet("/api/v1/me", {});
  const status = useGet("/api/v1/status", {}, {}, { every: 15_000, enabled: me.data !== undefined });
  const here = room(parts);
  const main = useRef<HTMLElement>(null);
  const address = parts.join("/");
  // Search parameters are the view's own matter: it is drawn anew for another path only.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const view = useMemo(() => <View parts={parts} />, [address]);

  useEffect(() => setMore(false), [address]);
  useEffect(() => {
    const seen = status.data?.open_findings;
    const urgent = (seen?.["P0"] ?? 0) + (seen?.["P1"] ?? 0);
    const name = here === null ? t.notFound.title : t.rooms[here];
    document.title = `${urgent > 0 ? `(${urgent}) ` : ""}${name} · Watchkeeper`;
  }, [here, status.data, t]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setSearching(true);
      } else if (event.key === "/" && !isTyping(event) && !event.ctrlKey && !event.altKey && !event.metaKey) {
        event.preventDefault();
        setSearching(true);
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);

  const refused = me.error instanceof Refusal && me.error.status === 401;
  const link = (one: Room, label: string, count?: number) => (
    <Link
      key={one}
      href={to(one === "overview" ? [] : [one])}
      aria-current={here === one ? "page" : undefined}
      className="room"
    >
      <Icon of={one} />
      <span>{label}</span>
      {count !== undefined && count > 0 && (
        <b className="badge" title={t.shell.urgent(count)}>
          {count}
        </b>
      )}
    </Link>
  );
  const open = status.data?.open_findings;
  const urgent = (open?.["P0"] ?? 0) + (open?.["P1"] ?? 0);
  const counts: Partial<Record<Room, number>> = { findings: urgent };

  return (
    <div className="shell">
      <a className="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        main.current?.focus();
      }}>
        {t.shell.skip}
      </a>
      <header className="top">
        <Link href={to([])} className="brand">
          Watchkeeper
        </Link>
        <span className="grow" />
        <button type="button" className="btn search-open" onClick={() => setSearching(true)} aria-keyshortcuts="Control+K">
          <Icon of="search" />
          <span className="wide">{t.search.open}</span>
          <kbd className="wide" translate="no">Ctrl K</kbd>
        </button>
        <Connection />
        <button type="button" className="btn" lang={t.shell.otherLang} onClick={() => language.set(language.next())}>
          {t.shell.otherLanguage}
        </button>
        <button
          type="button"
          className="btn wide"
          aria-label={t.shell.theme(t.themes[theme.use()])}
          onClick={() => theme.set(theme.next())}
        >
          {t.themes[theme.use()]}
        </button>
      </header>
      <nav className="side" aria-label={t.shell.navigation}>
        {ROOMS.map((one) => link(one, t.rooms[one], counts[one]))}
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        {refused ? (
          <SignIn wrong={credentials.has()} />
        ) : (
          <>
            <Banners status={status} />
            <Boundary key={address}>
              <Suspense fallback={<Loading />}>
                {view}
              </Suspense>
            </Boundary>
          </>
        )}
        <footer className="foot muted">
          <span translate="no">watchkeeper {status.data?.version}</span>
        </footer>
      </main>
      <nav className="bottom" aria-label={t.shell.navigation}>
        {FOOT.map((one) => link(one, t.rooms[one], counts[one]))}
        <button type="button" className="room" onClick={() => setSearching(true)}>
          <Icon of="search" />
          <span>{t.search.short}</span>
        </button>
        <button type="button" className="room" aria-expanded={more} onClick={() => setMore(true)}>
          <Icon of="more" />
          <span>{t.shell.more}</span>
        </button>
      </nav>
      <Dialog opened={more} onClose={() => setMore(false)} title={t.shell.more}>
        <div className="more">
          {ROOMS.filter((one) => !FOOT.includes(one)).map((one) => link(one, t.rooms[one]))}
          <button type="button" className="room" onClick={() => theme.set(theme.next())}>
            {t.shell.theme(t.themes[theme.use()])}
          </button>
        </div>
      </Dialog>
      <Search opened={searching} onClose={() => setSearching(false)} />
    </div>
  );
}

/** Live, paused or lost; pressed, it pauses and resumes. */
function Connection() {
  const t = useWords();
  const live = useLive();
  const now = useNow();
  const shown = language.use();
  const paused = live.state === "paused";
  const again = live.retryAt === null ? "" : span(live.retryAt - now, shown);
  return (
    <button
      type="button"
      className={`btn live-${live.state}`}
      aria-pressed={paused}
      title={paused ? t.live.resume : t.live.pause}
      onClick={() => setPaused(!paused)}
    >
      <span className="dot" aria-hidden="true" />
      <span role="status">{live.state === "lost" ? t.live.lost : t.live[live.state]}</span>
      <span className="unseen">{live.state === "lost" ? t.live.retrying(again) : ""}</span>
    </button>
  );
}

/** What concerns everything that is shown. */
function Banners({ status }: { status: ReturnType<typeof useGet<"/api/v1/status">> }) {
  const t = useWords();
  const live = useLive();
  const now = useNow();
  const shown = language.use();
  const lost = live.state === "lost" && now - (live.heardAt ?? 0) > 5_000;
  const { data } = status;
  const failing = data?.tasks.filter((task) => task.state === "waiting") ?? [];
  return (
    <>
      {lost && (
        <p className="note failed" role="alert" data-state="disconnected">
          {t.live.stopped(live.retryAt === null ? "" : span(live.retryAt - now, shown))}
          {live.heardAt !== null && ` ${t.live.asOf(clock(live.heardAt, shown))}`}
        </p>
      )}
      {data?.config_error != null && (
        <div className="note failed" role="alert">
          <b>{t.shell.configBad}</b>
          <pre translate="no">{data.config_error}</pre>
        </div>
      )}
      {failing.map((task) => (
        <p key={task.name} className="note partial" role="alert">
          <span>
            {t.shell.task} <Raw>{task.name}</Raw>: <Raw>{task.last_failure ?? ""}</Raw>
          </span>
        </p>
      ))}
    </>
  );
}
