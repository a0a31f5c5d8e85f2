"use strict";
// Calls methods of graphile-worker's WorkerUtils: reads [[method, ...arguments], ...] from standard
// input, prints the array of what they returned. A runAt is a string in ISO 8601.

const { readFileSync } = require("node:fs");
const { makeWorkerUtils, shared } = require("./connect.cjs");

const reviveDates = (name, value) => (name === "runAt" ? new Date(value) : value);

async function main() {
  const calls = JSON.parse(readFileSync(0, "utf8"), reviveDates);
  const utils = await makeWorkerUtils(shared);
  try {
    const results = [];
    for (const [method, ...args] of calls) results.push((await utils[method](...args)) ?? null);
    process.stdout.write(JSON.stringify(results));
  } finally {
    await utils.release();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
