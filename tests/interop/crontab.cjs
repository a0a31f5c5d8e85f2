"use strict";
// What graphile-worker makes of crontab lines: reads [{line, start, length, at}, ...] from standard input, prints
// for each {error} or {item, fires, at}: the minutes of the window at which it fires, and whether it does at each of
// some others. Minutes are counted from 1970.

const { readFileSync } = require("node:fs");
const { parseCrontab } = require("./connect.cjs");

function digest(minute) {
  const time = new Date(minute * 60_000);
  return {
    min: time.getUTCMinutes(),
    hour: time.getUTCHours(),
    date: time.getUTCDate(),
    month: time.getUTCMonth() + 1,
    dow: time.getUTCDay(),
  };
}

function look({ line, start, length, at }) {
  let items;
  try {
    items = parseCrontab(line);
  } catch (error) {
    return { error: error.message };
  }
  const [{ match, ...item }] = items;
  const window = Array.from({ length }, (_, n) => start + n);
  return { item, fires: window.filter((minute) => match(digest(minute))), at: at.map((minute) => match(digest(minute))) };
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(look)));
