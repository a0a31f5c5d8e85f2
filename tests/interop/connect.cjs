"use strict";
// What both scripts share: the graphile-worker that GW_SQLA_PEER has, and where its log goes.
// The database is found by node-postgres in PGHOST, PGDATABASE and so on.

const { createRequire } = require("node:module");
const path = require("node:path");

const graphileWorker = createRequire(path.join(process.env.GW_SQLA_PEER, "/"))("graphile-worker");

const logger = new graphileWorker.Logger(() => (level, message) => {
  if (level !== "debug") process.stderr.write(`node ${level}: ${message}\n`);
});

const schema = process.env.GRAPHILE_WORKER_SCHEMA;

module.exports = { ...graphileWorker, shared: { schema, logger } };
