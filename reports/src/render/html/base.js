"use strict";
// The data, and the functions that every part of the page uses.
const data = JSON.parse(document.getElementById("data").textContent);
const build = data.explanation;
const wall = build.wall || 1;
const byId = (id) => document.getElementById(id);

/** Creates an element with attributes and children. Text is always set as text, never as markup. */
function make(name, attributes = {}, ...children) {
  const svg = ["svg", "rect", "path", "g", "text", "line", "title"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(key, value);
  }
  for (const child of children) if (child !== undefined && child !== null) element.append(child);
  return element;
}

/** Three significant digits in a suitable unit. */
function time(nanos) {
  const digits = (value) => (value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0));
  if (nanos < 1e3) return `${Math.round(nanos)} ns`;
  if (nanos < 1e6) return `${digits(nanos / 1e3)} µs`;
  if (nanos < 1e9) return `${digits(nanos / 1e6)} ms`;
  return `${digits(nanos / 1e9)} s`;
}
function size(bytes) {
  const digits = (value) => (value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0));
  if (bytes < 1e3) return `${bytes} B`;
  if (bytes < 1e6) return `${digits(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${digits(bytes / 1e6)} MB`;
  return `${digits(bytes / 1e9)} GB`;
}
function percent(part, whole) {
  const share = whole ? (part * 100) / whole : 0;
  if (share === 0) return "0 %";
  if (share < 0.1) return "<0.1 %";
  return share < 9.95 || (share >= 99 && share < 99.95) ? `${share.toFixed(1)} %` : `${share.toFixed(0)} %`;
}

/** The instants of an axis: round ones, at most so many and at least three from `from` to `to`. */
function instants(from, to, most) {
  const wanted = (to - from) / Math.max(2, most);
  const power = 10 ** Math.floor(Math.log10(Math.max(1, wanted)));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= wanted) || power * 10;
  const all = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) all.push(at);
  return all;
}

const GROUPS = ["parsing", "scheduling", "execution", "storage", "transfer", "unattributed"];
const groupOf = (phase) => (phase === null || phase === undefined ? "unattributed" : data.phases[phase][1]);
const groupOfName = (name) => (data.phases.find((phase) => phase[0] === name) || [name, "unattributed"])[1];
/** The colours of the current theme, read again when it changes. */
let palette = {};
function readPalette() {
  const style = getComputedStyle(document.documentElement);
  palette = {};
  for (const name of [...GROUPS, "back", "face", "soft", "line", "card", "path", "cached", "held", "blocked", "ready", "focus"]) {
    palette[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

/** Text with its backquoted parts as code. */
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

const tip = byId("tip");
function showTip(event, text) {
  tip.textContent = text;
  tip.style.whiteSpace = "pre-line";
  tip.hidden = false;
  tip.classList.remove("below");
  Object.assign(tip.style, { left: "0", top: "0" });
  const box = tip.getBoundingClientRect();
  // The opened panel stays readable: the tip is to its left or, on a narrow screen, below it.
  const drawer = byId("drawer");
  const right = drawer.hidden ? innerWidth : drawer.getBoundingClientRect().left;
  if (!drawer.hidden && right < box.width + 12) {
    tip.classList.add("below");
    Object.assign(tip.style, { left: "", top: "" });
    drawer.style.bottom = `${tip.offsetHeight}px`;
    return;
  }
  drawer.style.bottom = "";
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, right - box.width - 8))}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 16, innerHeight - box.height - 8))}px`;
}
function hideTip() {
  tip.hidden = true;
  byId("drawer").style.bottom = "";
}
