// Builds the UI into dist/www: types from the API's description, a type check, the bundle, and each
// file packed, as the binary embeds it. Does nothing when nothing has changed.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

process.chdir(import.meta.dirname);
const out = "dist/www";
const stamp = "dist/stamp";

/** All files below a folder, in a fixed order. */
function files(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? files(path) : [path];
    });
}

const sources = [
  "package-lock.json", "tsconfig.json", "vite.config.ts", "build.mjs", "index.html",
  "../schemas/openapi.json",
  ...files("public"),
  ...files("src").filter((path) => path !== "src/api/schema.d.ts"),
];
const hash = createHash("sha256");
for (const path of sources) hash.update(path).update("\0").update(readFileSync(path)).update("\0");
const digest = hash.digest("hex");
if (existsSync(stamp) && existsSync(join(out, "index.html")) && readFileSync(stamp, "utf8") === digest) {
  console.log("the UI is up to date");
  process.exit(0);
}

const tool = (name, ...args) =>
  execFileSync(process.execPath, [`node_modules/${name}`, ...args], { stdio: "inherit" });
rmSync(stamp, { force: true });
rmSync(out, { recursive: true, force: true });
mkdirSync("dist", { recursive: true });
tool("openapi-typescript/bin/cli.js", "../schemas/openapi.json", "-o", "src/api/schema.d.ts");
tool("typescript/bin/tsc");
tool("vite/bin/vite.js", "build", "--logLevel", "warn");

// What the first page needs, packed: index.html and what it names.
let first = 0;
const index = readFileSync(join(out, "index.html"), "utf8");
for (const path of files(out)) {
  const packed = gzipSync(readFileSync(path), { level: 9 });
  const inside = path.slice(out.length + 1);
  if (inside === "index.html" || index.includes(inside)) first += packed.length;
  if (inside === "index.html") continue;
  writeFileSync(`${path}.gz`, packed);
  rmSync(path);
}
const whole = files(out).reduce((sum, path) => sum + statSync(path).size, 0);
console.log(`the UI: ${Math.ceil(first / 1000)} kB to load first, ${Math.ceil(whole / 1000)} kB embedded`);
if (first > 300_000) {
  console.error("the first page may take 300 kB at most: load something later, or leave it out");
  process.exit(1);
}
writeFileSync(stamp, digest);
