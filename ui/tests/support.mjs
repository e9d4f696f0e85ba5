// The real program with the demo, and a real browser to look at it.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Starts the demo; gives its address, and a way to end it. `WATCHKEEPER_URL` names one that runs. */
export async function demo() {
  const running = process.env.WATCHKEEPER_URL;
  if (running !== undefined) return { url: running, started: Date.now(), stop: async () => undefined };
  const binary = process.env.WATCHKEEPER_BIN;
  if (binary === undefined) throw new Error("WATCHKEEPER_BIN names the program under test");
  const started = Date.now();
  const child = spawn(binary, ["demo", "--listen", "127.0.0.1:0", "--seconds", "900"], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  let log = "";
  const url = await new Promise((found, failed) => {
    child.stderr.on("data", (data) => {
      log += data;
      const [, address] = /status page and API on (http:\/\/\S+)/.exec(log) ?? [];
      if (address !== undefined) found(`${address}/`);
    });
    child.on("exit", () => failed(new Error(`the demo ended:\n${log}`)));
  });
  return {
    url,
    started,
    stop: () => new Promise((ended) => {
      child.removeAllListeners("exit");
      child.on("exit", ended);
      child.kill();
    }),
  };
}

export function browser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
}

/** A proxy that serves `target` below `/ops/`, as if it were at the root; `instead` holds own answers by a part of their address. */
export async function proxy(target, instead = {}) {
  const server = http.createServer((request, answer) => {
    if (!request.url.startsWith("/ops/")) {
      answer.writeHead(404).end();
      return;
    }
    const own = Object.entries(instead).find(([part]) => request.url.includes(part));
    if (own !== undefined) {
      answer.writeHead(200, { "content-type": "application/json" }).end(own[1]);
      return;
    }
    const { host: _, ...headers } = request.headers;
    const to = new URL(request.url.slice("/ops".length), target);
    const asked = http.request(to, { method: request.method, headers }, (from) => {
      answer.writeHead(from.statusCode, from.headers);
      from.pipe(answer);
    });
    asked.on("error", () => answer.destroy());
    answer.on("close", () => asked.destroy());
    request.pipe(asked);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { url: `http://127.0.0.1:${server.address().port}/ops/`, stop: () => server.closeAllConnections() ?? server.close() };
}

/** A page whose complaints are kept: errors of the console, failed and foreign requests. */
export async function open(chrome, base, { language = "en", theme = "dark", phone = false, expected = [] } = {}) {
  const context = await chrome.newContext({
    viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 900 },
    hasTouch: phone,
    isMobile: phone,
    locale: "en-US",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  await context.addInitScript(([language, theme]) => {
    localStorage.setItem("language", language);
    localStorage.setItem("theme", theme);
  }, [language, theme]);
  const page = await context.newPage();
  const complaints = [];
  const known = (text) => expected.some((one) => text.includes(one));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !known(message.text())) complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== new URL(base).origin && url.protocol !== "data:") complaints.push(`foreign request: ${url}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400 && !known(String(response.status()))) complaints.push(`${response.status()} ${response.url()}`);
  });
  const settled = async () => {
    await page.waitForFunction(() => document.querySelector("main h1") !== null && document.querySelector("[data-state=loading]") === null);
  };
  return {
    page,
    complaints,
    settled,
    /** Goes to a view and waits until it has its content. */
    visit: async (path) => {
      await page.goto(base + path);
      await settled();
    },
    close: () => context.close(),
  };
}

/** Violations that axe finds, in words. */
export async function violations(page) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const result = await window.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return result.violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} – ${node.failureSummary?.slice(0, 200)}`).join(" | ")}`);
  });
  return found;
}

/** Text that is the UI's own and not Chinese, though the language is. */
export function untranslated(page) {
  return page.evaluate(() => {
    // Proper names, units and words that Chinese users write this way.
    const allowed = /^(?:Watchkeeper|English|Ctrl K|OpenAPI|\/metrics|Gas|Nonce|JSON|API|ID|YAML|UTC|gwei|wei|anvil|p50|p95|p99|P[0-3]|ms|h|debug_\w+|trace_\w+|evm\.\w+|chains:|contracts:|rules:|receivers|[kMGT]|0x…?|e)$/;
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const element = node.parentElement;
      if (element === null || element.closest("[translate=no], .flow-edge, .flow-node, script, style, noscript, [lang=en], option") !== null) continue;
      const words = (node.textContent ?? "").replace(/0x[0-9a-f]+/g, "").match(/[A-Za-z][A-Za-z0-9_./:…-]*/g) ?? [];
      for (const word of words) if (!allowed.test(word)) found.push(`${word} in “${node.textContent.slice(0, 80)}”`);
    }
    for (const element of document.querySelectorAll("[aria-label], [placeholder]")) {
      if (element.closest("[translate=no]") !== null) continue;
      const text = `${element.getAttribute("aria-label") ?? ""} ${element.getAttribute("placeholder") ?? ""}`;
      if (/[A-Za-z]{4,}/.test(text.replace(/Watchkeeper|gwei|Gas|Nonce/g, ""))) found.push(`label “${text.trim()}”`);
    }
    return found;
  });
}

/** What lies beyond the right edge, and what is too small for a thumb. */
export function misfits(page, thumbs) {
  return page.evaluate((thumbs) => {
    const found = [];
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    if (wide > 0) {
      const over = [...document.querySelectorAll("main *")].find((one) => one.getBoundingClientRect().right > window.innerWidth + 1 && one.closest(".scroll, .tree, .code") === null);
      found.push(`${wide} px too wide: ${over?.outerHTML.slice(0, 160)}`);
    }
    if (!thumbs) return found;
    for (const one of document.querySelectorAll("button, input, select, summary, a[href]")) {
      const box = one.getBoundingClientRect();
      if (box.width === 0 || one.closest(".unseen, .skip, .flow-drawing") !== null || one.classList.contains("skip")) continue;
      // A checkbox is pressed by its label; a link in a sentence is exempt (WCAG 2.5.8).
      const target = one.matches("input[type=checkbox]") ? one.closest("label").getBoundingClientRect() : box;
      if (one.matches("p a, .link, .raw a, dd a, li a, td a, .muted a")) continue;
      if (target.height < 43.5) found.push(`${Math.round(target.height)} px high: ${one.outerHTML.slice(0, 140)}`);
    }
    return found;
  }, thumbs);
}
