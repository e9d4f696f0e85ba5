// Compiles the Solidity sources of this folder into out/*.json, the artefacts that tests, the
// demo tape and its recorder deploy, and those of twins/ into out/twins.json: attacks and their
// harmless look-alikes. `--check` only tells whether they are fresh.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = (name) => path.join(here, name);
const sources = (name) => fs.readdirSync(folder(name)).filter((file) => file.endsWith(".sol")).sort();
const files = sources("src");
const twins = sources("twins");
const read = (name, file) => [file, { content: fs.readFileSync(path.join(folder(name), file), "utf8") }];

const output = JSON.parse(
  solc.compile(
    JSON.stringify({
      language: "Solidity",
      sources: Object.fromEntries([
        ...files.map((file) => read("src", file)),
        ...twins.map((file) => read("twins", file)),
      ]),
      settings: {
        optimizer: { enabled: true, runs: 200 },
        // Old enough for every chain that a test may start.
        evmVersion: "shanghai",
        // No hash of the sources in the code: a comment must not change an address's code.
        metadata: { appendCBOR: false, bytecodeHash: "none" },
        outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
      },
    }),
  ),
);

for (const message of output.errors ?? []) console.error(message.formattedMessage);
if ((output.errors ?? []).some((message) => message.severity === "error")) process.exit(1);

const check = process.argv.includes("--check");
const stale = [];
const write = (name, value) => {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  const target = path.join(folder("out"), name);
  if (check) {
    if (!fs.existsSync(target) || fs.readFileSync(target, "utf8") !== text) stale.push(target);
  } else {
    fs.mkdirSync(folder("out"), { recursive: true });
    fs.writeFileSync(target, text);
  }
};
for (const file of files) {
  const name = path.basename(file, ".sol");
  const contract = output.contracts[file][name];
  // The shape of a Hardhat artefact, so that the same files also serve as ABI examples.
  const artefact = {
    contractName: name,
    sourceName: `src/${file}`,
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
    deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
  };
  write(`${name}.json`, artefact);
}
// Of the twins only the scenes are deployed: who has an actor.
const scenes = twins.flatMap((file) =>
  Object.entries(output.contracts[file])
    .filter(([, contract]) => contract.evm.bytecode.object && contract.abi.some((item) => item.name === "actor"))
    .map(([name, contract]) => [name, `0x${contract.evm.bytecode.object}`]),
);
write("twins.json", Object.fromEntries(scenes));
if (stale.length > 0) {
  console.error(`stale: ${stale.join(", ")}\nrun \`npm run contracts\``);
  process.exit(1);
}
