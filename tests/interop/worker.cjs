"use strict";
// A graphile-worker pool that a test watches and steers.
//
// argv[2]: {"tasks": {identifier: behaviour, ...}, "once": bool, "options": RunnerOptions of run or runOnce}
// Prints one JSON object a line, {"event": name, ...}:
//   started  a handler was called; the job, as it sees it, with queue_name
//   entered  a job of a task "lane" is on record
//   nothing  a worker of the pool has looked for a job in vain
//   idle     all of them have, and the pool listens
// Reads one word a line:
//   go      lets the longest waiting job of a task "wait" or "lane" end (also one that is still to come)
//   stop    stops the pool; the end of standard input does so too

const { EventEmitter } = require("node:events");
const { createInterface } = require("node:readline");
const { run, runOnce, shared } = require("./connect.cjs");

const { tasks: behaviours, once, options } = JSON.parse(process.argv[2]);

const print = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + "\n");

let spare = 0;
const waiting = [];
const permission = () => (spare > 0 ? (spare--, Promise.resolve()) : new Promise((resolve) => waiting.push(resolve)));
const permit = () => (waiting.length > 0 ? waiting.shift()() : spare++);

const BEHAVIOURS = {
  async pass() {},
  async fail() {
    throw new Error("node failed it");
  },
  wait: permission,
  async waitAndFail() {
    await permission();
    throw new Error("node failed it");
  },
  // A turn in a serial queue, on record in the database with the database's clock.
  async lane(payload, { job, query }) {
    await query("insert into interop_lane (worker, job_id) values ('node', $1)", [job.id]);
    print("entered", { id: Number(job.id) });
    await permission();
    await query("update interop_lane set left_at = clock_timestamp() where job_id = $1", [job.id]);
  },
  // A batch job: an item {"fail": true} is rejected.
  async batch(items) {
    return items.map((item) => (item.fail ? Promise.reject(new Error("node failed an item")) : Promise.resolve()));
  },
};

function task(behaviour) {
  return async (payload, helpers) => {
    const { job } = helpers;
    const queue = await helpers.getQueueName();
    print("started", { ...job, id: Number(job.id), queue_name: queue });
    return BEHAVIOURS[behaviour](payload, helpers);
  };
}

const taskList = Object.fromEntries(Object.entries(behaviours).map(([name, behaviour]) => [name, task(behaviour)]));

const events = new EventEmitter();
const busy = new Set();
let listening = false;

function printIfIdle() {
  if (listening && busy.size === 0) print("idle");
}

events.on("worker:create", ({ worker }) => busy.add(worker));
events.on("worker:getJob:start", ({ worker }) => busy.add(worker));
events.on("worker:getJob:empty", ({ worker }) => {
  busy.delete(worker);
  print("nothing");
  printIfIdle();
});
// The pool sends its LISTEN after this event; a query on the same connection waits for it to be done.
events.on("pool:listen:success", ({ client }) =>
  setImmediate(async () => {
    await client.query("select 1");
    listening = true;
    printIfIdle();
  })
);

// Without these batches a stop does not wait for the writes of what became of jobs, and can lose them.
const preset = { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } };

async function main() {
  const settings = { ...shared, ...options, preset, taskList, events, noHandleSignals: true };
  const steering = createInterface({ input: process.stdin });
  if (once) {
    await runOnce(settings);
    steering.close();
    process.stdin.destroy();
    return;
  }
  const pool = await run(settings);
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    steering.close();
    pool.stop();
  };
  steering.on("line", (word) => (word === "go" ? permit() : stop()));
  steering.on("close", stop);
  await pool.promise;
  process.stdin.destroy();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
