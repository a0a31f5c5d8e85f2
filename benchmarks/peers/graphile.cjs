// Graphile Worker: empties the queue and ends, or (run) stays and prints which job has begun, or (add) adds many.
const { Logger, run, runOnce, makeWorkerUtils } = require(process.env.GW_SQLA_PEER + "/node_modules/graphile-worker");

const settings = JSON.parse(process.argv[3] ?? "{}");
const taskList = {
  trivial: async () => {},
  big: async () => {},
  latency: async (payload) => console.log(payload),
  touch: (payload, helpers) => helpers.withPgClient((client) => inTransaction(client, () => touch(client, payload.id))),
  "touch apart": (payload, helpers) => helpers.withPgClient((client) => touch(client, payload.id)),
};
for (let number = 0; number < Number(process.env.GW_SQLA_BENCH_TASKS ?? 0); number += 1) {
  taskList[`task ${number}`] = async () => {};
}

async function touch(client, id) {
  const { rows } = await client.query("select touched from bench_accounts where id = $1", [id]);
  await client.query("update bench_accounts set touched = $2 where id = $1", [id, rows[0].touched + 1]);
}

async function inTransaction(client, work) {
  await client.query("begin");
  try {
    await work();
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}

const logger = new Logger(() => () => {});
const preset = { worker: { connectionString: process.env.DATABASE_URL, ...settings } };

async function addJobs(count) {
  const utils = await makeWorkerUtils({ preset, logger });
  try {
    const specs = Array.from({ length: count }, (_, id) => ({ identifier: "trivial", payload: { id } }));
    await utils.addJobs([{ identifier: "trivial", payload: { id: -1 } }]); // connected and planned
    const began = performance.now();
    await utils.addJobs(specs);
    console.log((performance.now() - began) / 1000);
  } finally {
    await utils.release();
  }
}

async function main() {
  switch (process.argv[2]) {
    case "once":
      return runOnce({ preset, taskList, logger });
    case "run":
      const runner = await run({ preset, taskList, logger, noHandleSignals: true });
      process.stdin.resume();
      process.stdin.on("end", () => runner.stop());
      return runner.promise;
    case "add":
      return addJobs(Number(process.argv[4]));
  }
  throw new Error(`what is ${process.argv[2]}?`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
