// The status page: what needs attention, each chain with its endpoints and coverage.
// All text from outside goes through textContent, so that it stays text.
"use strict";

const texts = {
  en: {
    login: "Sign in", loginHelp: "This server wants a token. Make one with: watchkeeper token create NAME",
    token: "Token", enter: "Enter", findings: "Newest findings", severity: "Severity", what: "What",
    where: "Where", state: "State", when: "When", noFindings: "Nothing was found yet. Rules and the watcher's own checks report here.",
    calm: "Nothing needs you now", needs: n => n === 1 ? "1 thing needs you now" : `${n} things need you now`,
    live: "live", lost: "disconnected", connecting: "connecting", loading: "Loading…",
    lostSince: time => `The connection is lost; trying again. What is shown is as of ${time}.`,
    lostEver: "Watchkeeper does not answer; trying again.", failed: "Watchkeeper answered with an error: ",
    refused: "The token is unknown, expired or revoked.", logout: "Sign out", noChains: "No chain is watched. Add one under chains: in the config.",
    task: name => `Task ${name} failed and is started again: `, starting: "starting", backfilling: "catching up",
    stopped: "stopped", held: "held", active: "active", resolved: "resolved", retracted: "retracted",
    head: "Head", age: "Age", safe: "Safe", finalized: "Finalized", chainId: "Chain id", queue: "Queue",
    coverage: "Coverage", endpoints: "Endpoints", endpoint: "Endpoint", health: "Health", behind: "Behind",
    latency: "Latency p50 / p95", requests: "Requests", errors: "Errors", reason: "Reason", noBlocks: "No block was processed yet.",
    contiguous: (from, to) => `Every block from ${from} to ${to} was looked at`,
    broken: (from, to) => `Looked at ${from} to ${to}, with holes`,
    holes: (n, where) => `${n} ${n === 1 ? "block" : "blocks"} missing, being refilled: ${where}`, weaker: (n, why) => `${n} verified less strictly${why ? ` (${why})` : ""}`,
    rescanned: n => `${n} looked at again`, whole: "all fully verified",
    unknown: "not asked yet", healthy: "healthy", limited: "limited", down: "down", quarantined: "quarantined",
    dead: n => `${n} messages could not be delivered: watchkeeper findings dead`,
    P0: "P0 critical", P1: "P1 high", P2: "P2 medium", P3: "P3 low", dark: "Light", light: "Dark", other: "中文",
    all: "all", ago: s => s < 90 ? `${s} s` : s < 5400 ? `${Math.round(s / 60)} min` : s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`,
    configBad: "The newest config was refused; the old one runs on: ",
  },
  zh: {
    login: "登录", loginHelp: "此服务器需要令牌。创建命令：watchkeeper token create NAME",
    token: "令牌", enter: "进入", findings: "最新发现", severity: "级别", what: "内容",
    where: "位置", state: "状态", when: "时间", noFindings: "尚无发现。规则和自身检查的结果会显示在这里。",
    calm: "目前没有需要处理的事项", needs: n => `${n} 个事项需要处理`,
    live: "实时", lost: "已断开", connecting: "连接中", loading: "正在加载…",
    lostSince: time => `连接中断，正在重试。以下为 ${time} 的数据。`,
    lostEver: "Watchkeeper 没有应答，正在重试。", failed: "Watchkeeper 返回错误：",
    refused: "令牌不存在、已过期或已撤销。", logout: "退出登录", noChains: "没有监控任何链。请在配置的 chains: 中添加。",
    task: name => `任务 ${name} 失败，正在重新启动：`, starting: "启动中", backfilling: "追赶中",
    stopped: "已停止", held: "等待确认", active: "有效", resolved: "已恢复", retracted: "已撤回",
    head: "最新区块", age: "距今", safe: "安全区块", finalized: "最终区块", chainId: "链 ID", queue: "队列",
    coverage: "覆盖", endpoints: "端点", endpoint: "端点", health: "状况", behind: "落后",
    latency: "延迟 p50 / p95", requests: "请求", errors: "错误", reason: "原因", noBlocks: "尚未处理任何区块。",
    contiguous: (from, to) => `从 ${from} 到 ${to} 的每个区块都已检查`,
    broken: (from, to) => `已检查 ${from} 到 ${to}，其中有缺口`,
    holes: (n, where) => `缺少 ${n} 个区块，正在补齐：${where}`, weaker: (n, why) => `${n} 个区块验证较宽松${why ? `（${why}）` : ""}`,
    rescanned: n => `${n} 个区块已复查`, whole: "全部完整验证",
    unknown: "尚未询问", healthy: "正常", limited: "受限", down: "无应答", quarantined: "已隔离",
    dead: n => `${n} 条消息无法送达：watchkeeper findings dead`,
    P0: "P0 紧急", P1: "P1 高", P2: "P2 中", P3: "P3 低", dark: "浅色", light: "深色", other: "English",
    ago: s => s < 90 ? `${s} 秒` : s < 5400 ? `${Math.round(s / 60)} 分钟` : s < 172800 ? `${Math.round(s / 3600)} 小时` : `${Math.round(s / 86400)} 天`,
    configBad: "新配置被拒绝，仍在使用旧配置：",
  },
};

const $ = id => document.getElementById(id);
const stored = (key, fallback) => { try { return localStorage.getItem(key) || fallback; } catch { return fallback; } };
const store = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode */ } };
let language = stored("language", (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en");
let theme = stored("theme", matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
let token = stored("token", "");
let liveState = "connecting";
let shown = { status: null, findings: [], coverage: {}, at: 0 };
let failure = null;
const t = () => texts[language];

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

const shapes = {
  P0: "M4 0h8l4 4v8l-4 4H4l-4-4V4z", P1: "M8 0l8 15H0z", P2: "M8 0l8 8-8 8-8-8z", P3: "M8 1a7 7 0 110 14A7 7 0 018 1z",
};
function severity(level, text) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", shapes[level] || shapes.P3);
  path.setAttribute("fill", "currentColor");
  svg.append(path);
  const made = element("span", { class: "severity" }, svg, text);
  made.style.color = `var(--${level})`;
  return made;
}

const age = ms => t().ago(Math.max(0, Math.round((Date.now() - ms) / 1000)));
const short = hex => `${hex.slice(0, 8)}…${hex.slice(-6)}`;

// Text in which hashes are cut, and addresses where there is no room; the whole is in the tooltip.
function readable(text) {
  return text.split(/(0x[0-9a-fA-F]{40,})/).map(part => {
    if (!/^0x[0-9a-fA-F]{40,}$/.test(part)) return part;
    const hex = element("span", { class: "hex", title: part });
    if (part.length > 42) hex.append(short(part));
    else hex.append(element("span", { class: "full" }, part), element("span", { class: "short" }, short(part)));
    return hex;
  });
}
const milliseconds = duration => duration ? Math.round(duration * 1000) : "–";

class Refused extends Error {}

async function ask(path) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { headers, cache: "no-store" });
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Refused();
  const problem = await answer.json().catch(() => ({}));
  const error = new Error(problem.detail || `${path}: ${answer.status}`);
  error.answered = true;
  throw error;
}
const get = path => ask(path).then(answer => answer.json());

// One load at a time: what is asked for meanwhile is done once more afterwards.
let loading = false;
let again = false;
async function load() {
  if (loading) { again = true; return; }
  loading = true;
  try {
    const [status, page] = await Promise.all([get("api/v1/status"), get("api/v1/findings?limit=30")]);
    const coverage = {};
    await Promise.all(status.chains.map(async chain => {
      coverage[chain.chain] = await get(`api/v1/chains/${encodeURIComponent(chain.chain)}/coverage`).catch(() => null);
    }));
    shown = { status, findings: page.items, coverage, at: Date.now() };
    failure = null;
  } catch (error) {
    failure = error;
    if (error instanceof Refused) shown.status = null;
  }
  loading = false;
  draw();
  if (again) { again = false; load(); }
}

function setLive(state) { liveState = state; $("live").textContent = t()[state]; $("live").dataset.state = state; }

function draw() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = t()[theme];
  $("language").textContent = t().other;
  $("language").lang = language === "zh" ? "en" : "zh-CN";
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = t()[place.dataset.text];
  setLive(failure ? "lost" : liveState);
  const { status, findings, coverage } = shown;
  const refused = failure instanceof Refused;
  $("live").hidden = refused;
  $("login").hidden = !refused;
  $("refused").hidden = !refused || !token;
  $("logout").hidden = !token || refused;
  $("loading").hidden = Boolean(status || failure);
  $("content").hidden = !status;
  $("content").classList.toggle("stale", Boolean(failure));
  $("lost").hidden = !failure || refused;
  if (failure && !refused) {
    const time = new Date(shown.at).toLocaleTimeString(document.documentElement.lang);
    $("lost").textContent = failure.answered ? t().failed + failure.message : status ? t().lostSince(time) : t().lostEver;
  }
  if (!status) return;
  const open = status.open_findings;
  const urgent = (open.P0 || 0) + (open.P1 || 0);
  $("now-title").textContent = urgent ? t().needs(urgent) : t().calm;
  $("counts").replaceChildren(...Object.keys(shapes).map(level => severity(level, `${open[level] || 0} ${t()[level]}`)));
  const notes = [];
  if (status.outbox.dead) notes.push(t().dead(status.outbox.dead));
  if (status.config_error) notes.push(t().configBad + status.config_error);
  for (const task of status.tasks) {
    if (task.state === "waiting") notes.push(t().task(task.name) + (task.last_failure || ""));
  }
  $("content").classList.toggle("few", status.chains.length <= 2);
  if (!status.chains.length) notes.push(t().noChains);
  $("banner").hidden = notes.length === 0;
  $("banner").replaceChildren(...notes.map(note => element("p", { class: "banner" }, note)));
  document.title = urgent ? `(${urgent}) Watchkeeper` : "Watchkeeper";
  $("overview").replaceChildren(...status.chains.map(chain => drawOverview(chain, coverage[chain.chain])));
  $("no-findings").hidden = findings.length > 0;
  $("findings-table").hidden = findings.length === 0;
  $("findings").replaceChildren(...findings.map(drawFinding));
  $("chains").replaceChildren(...status.chains.map(chain => drawChain(chain, coverage[chain.chain])));
  $("version").textContent = `watchkeeper ${status.version}`;
}

function drawFinding(finding) {
  const place = finding.position ? `${finding.position.chain} ${finding.position.height}` : finding.asset;
  return element("tr", { class: finding.status },
    element("td", {}, severity(finding.severity, t()[finding.severity])),
    element("td", { class: "wide" }, ...readable(finding.title)),
    element("td", { class: "mono place" }, place),
    element("td", { class: "state" }, t()[finding.status] || finding.status),
    element("td", { class: "number nowrap", title: new Date(finding.seen_at).toISOString() }, age(finding.seen_at)));
}

const colours = { live: "ok", stopped: "bad", healthy: "ok", limited: "warn", down: "bad", quarantined: "bad", unknown: "unknown" };

// A chain in one line: how it is, its head, what was looked at, and how many endpoints are well.
function drawOverview(chain, coverage) {
  const well = chain.endpoints.filter(endpoint => endpoint.health === "healthy").length;
  const parts = [element("a", { href: `#chain-${chain.chain}` }, chain.chain), " ",
    element("span", { class: colours[chain.state] || "warn" }, t()[chain.state])];
  if (chain.head) parts.push(` · ${t().head} ${chain.head.block.height} (${age(chain.head.time * 1000)})`);
  if (coverage) parts.push(" · ", element("span", { class: coverage.missing ? "bad" : "" }, `${t().coverage} ${coverage.from}–${coverage.to}`));
  parts.push(" · ", element("span", { class: well === chain.endpoints.length ? "" : "warn" }, `${t().endpoints} ${well}/${chain.endpoints.length}`));
  return element("li", {}, ...parts);
}

function fact(name, value, title) {
  return element("div", {}, element("dt", {}, name), element("dd", { title }, value));
}

function drawChain(chain, coverage) {
  const head = chain.head;
  return element("section", { class: "card", id: `chain-${chain.chain}` },
    element("h2", {}, chain.chain, " ", element("span", { class: colours[chain.state] || "warn" }, t()[chain.state])),
    chain.reason ? element("p", { class: "bad" }, chain.reason) : null,
    element("dl", { class: "facts" },
      fact(t().head, head ? String(head.block.height) : "–", head && head.block.hash),
      fact(t().age, head ? age(head.time * 1000) : "–"),
      fact(t().safe, chain.safe ? String(chain.safe.height) : "–"),
      fact(t().finalized, chain.finalized ? String(chain.finalized.height) : "–"),
      fact(t().chainId, chain.chain_id === null ? "–" : String(chain.chain_id)),
      fact(t().queue, String(chain.queued))),
    element("h3", {}, t().coverage), drawCoverage(coverage),
    element("h3", {}, t().endpoints), drawEndpoints(chain.endpoints));
}

function drawCoverage(coverage) {
  if (!coverage || coverage.from === undefined) return element("p", { class: "muted" }, t().noBlocks);
  const words = [];
  const { from, to, contiguous_from: whole } = coverage;
  const reasons = [...new Set(coverage.bar.filter(part => part.kind === "partial").map(part => part.why))];
  words.push(whole === null || coverage.missing ? t().broken(from, to) : t().contiguous(whole, to));
  words.push(coverage.weaker ? t().weaker(coverage.weaker, reasons.slice(0, 2).join("; ")) : t().whole);
  if (coverage.missing) {
    const holes = coverage.holes.slice(0, 5).map(hole => hole.from === hole.to ? `${hole.from}` : `${hole.from}–${hole.to}`);
    if (coverage.holes.length > 5) holes.push("…");
    words.push(t().holes(coverage.missing, holes.join(", ")));
  }
  if (coverage.rescanned) words.push(t().rescanned(coverage.rescanned));
  const bar = element("div", { class: "bar", role: "img", "aria-label": words.join("; ") });
  for (const range of coverage.bar) {
    const part = element("i", { class: range.kind, title: `${range.from}–${range.to}${range.why ? `: ${range.why}` : ""}` });
    part.style.flexGrow = range.to - range.from + 1;
    bar.append(part);
  }
  return element("div", {}, bar, element("p", { class: coverage.missing ? "bad" : "muted" }, words.join(" · ")));
}

function drawEndpoints(endpoints) {
  const rows = endpoints.map(endpoint => element("tr", {},
    element("td", { class: "mono" }, endpoint.name),
    element("td", { class: `nowrap ${colours[endpoint.health]}` }, t()[endpoint.health] || endpoint.health),
    element("td", { class: "number" }, endpoint.head ? String(endpoint.head.block.height) : "–"),
    element("td", { class: "number optional" }, String(endpoint.behind)),
    element("td", { class: "number optional" }, `${milliseconds(endpoint.latency_p50_seconds)} / ${milliseconds(endpoint.latency_p95_seconds)} ms`),
    element("td", { class: "number optional" }, String(endpoint.requests)),
    element("td", { class: "number optional", title: endpoint.last_error || "" }, String(endpoint.errors_total)),
    element("td", { class: "wide" }, ...readable(endpoint.reason || ""))));
  const head = element("tr", {}, ...[["endpoint", ""], ["health", ""], ["head", "number"], ["behind", "number optional"],
    ["latency", "number optional"], ["requests", "number optional"], ["errors", "number optional"], ["reason", ""]]
    .map(([name, kind]) => element("th", { class: kind || undefined }, t()[name])));
  return element("table", { class: "rows" }, element("thead", {}, head), element("tbody", {}, ...rows));
}

// Live events come by a fetch stream, since an EventSource cannot carry a token. Any event is a
// reason to look; what is shown always comes whole from the lists.
let hurry = () => {};
async function listen() {
  for (let wait = 1000; ; wait = Math.min(wait * 2, 15000)) {
    try {
      const answer = await ask("api/v1/stream");
      setLive("live");
      load();
      wait = 1000;
      const reader = answer.body.getReader();
      while (!(await reader.read()).done) refreshSoon();
    } catch { /* `load` tells what is wrong */ }
    liveState = "lost";
    load();
    await new Promise(done => { hurry = done; setTimeout(done, wait); });
  }
}

let due = null;
function refreshSoon() {
  if (due === null) due = setTimeout(() => { due = null; load(); }, 500);
}

// Ages go on without events, and a chain that stands still has none.
setInterval(load, 10000);
setInterval(draw, 1000);

$("theme").addEventListener("click", () => { theme = theme === "dark" ? "light" : "dark"; store("theme", theme); draw(); });
$("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; store("language", language); draw(); });
function signIn(value) {
  token = value;
  store("token", token);
  failure = null;
  load();
  hurry();
}
$("loginForm").addEventListener("submit", event => { event.preventDefault(); signIn($("token").value.trim()); $("token").value = ""; });
$("logout").addEventListener("click", () => signIn(""));
draw();
load();
listen();
