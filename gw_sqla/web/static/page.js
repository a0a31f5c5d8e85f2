// What a page has more with JavaScript than without: times in the viewer's zone, parts that refresh themselves,
// payloads that can be copied. Everything works without it.
"use strict";

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const short = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

/** Show the times below an element in the viewer's zone; the exact one, as the database has it, is its title. */
function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.textContent = short.format(moment);
    time.title = `${exact.format(moment)}\n${time.dateTime}`;
  }
}

/** Say whether the page refreshes itself, for people and screen readers. */
function say(text) {
  const place = document.getElementById("live-state");
  if (place && place.textContent !== text) place.textContent = text;
}

/** Whether a node may be refreshed: what somebody has opened stays open, and what they filled in there stays. */
function isLeft(node) {
  return !(node instanceof HTMLDetailsElement && node.open);
}

/** Ask for this page again, and put its live parts in place of ours; nothing else moves. */
async function refresh() {
  const response = await fetch(window.location.href, { headers: { "X-Live": "1" }, redirect: "error" });
  if (!response.ok) throw new Error(response.status === 404 ? "it is gone" : `the server says ${response.status}`);
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  showTimes(fresh);
  for (const old of document.querySelectorAll("[data-live][id]")) {
    const part = fresh.getElementById(old.id);
    if (part) window.Idiomorph.morph(old, part, { ignoreActiveValue: true, callbacks: { beforeNodeMorphed: isLeft } });
  }
}

/** Refresh again and again while somebody looks: not in a background tab, and not while text in it is selected. */
function live() {
  const interval = Number(document.body.dataset.interval) * 1000;
  let timer = null;
  const isRead = () => {
    const selection = window.getSelection();
    return selection !== null && !selection.isCollapsed;
  };
  const turn = async () => {
    timer = null;
    if (document.hidden) return;
    try {
      if (!isRead()) await refresh();
      say("live");
    } catch (error) {
      say(`not live: ${error instanceof TypeError ? "the server does not answer" : error.message}`);
    }
    plan();
  };
  const plan = () => {
    if (timer === null && !document.hidden) timer = window.setTimeout(turn, interval);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      window.clearTimeout(timer);
      timer = null;
    } else {
      turn();
    }
  });
  say("live");
  plan();
}

/** Buttons that need JavaScript are hidden without it. */
function offerCopies() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }
}

/** A box at the head of a list chooses all of its page. */
function offerAll() {
  for (const all of document.querySelectorAll("input[data-all]")) {
    const boxes = () => document.querySelectorAll(`input[name="${all.dataset.all}"]`);
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes()) box.checked = all.checked;
    });
  }
}

showTimes(document);
offerCopies();
offerAll();
if (document.querySelector("[data-live][id]")) live();
