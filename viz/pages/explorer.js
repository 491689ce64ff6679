"use strict";
/* Steps through the computation in #data, which viz/explorer_data.py describes. Every number comes from there; this page adds
   up none. Labels are data: they reach the page as text (textContent), never as markup. */
const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const D = JSON.parse($("data").textContent);
const {nodes, edges, rows, groups} = D;
const root = nodes.length - 1;
const number = x => typeof x === "string" ? {"nan": NaN, "inf": Infinity, "-inf": -Infinity}[x] : x;
const nameOf = i => nodes[i].name;
const L = nameOf(root);
const d_ = i => `d${L}/d${nameOf(i)}`;
const partial_ = e => `∂${e.nth}${nameOf(e.head)}/∂${nameOf(e.tail)}`;   // ∂₁v/∂e is by operand 1 alone, where v uses e twice
const groupOf = [];
groups.forEach((members, g) => members.forEach(i => { groupOf[i] = g; }));
for (const e of edges) e.partial = number(e.partial);
for (const n of nodes) n.value = number(n.value);

// What the right order gives: the adjoint of every node, and how many contributions it takes.
const right = nodes.map((_, i) => i === root ? 1 : 0), contributions = nodes.map(() => 0);
for (const [e, , total] of D.backward) { right[edges[e].tail] = number(total); contributions[edges[e].tail]++; }
const same = (a, b) => a === b || (a !== a && b !== b);

// The steps of a mode: what happens at each, and the number that it finds.
function stepsOf(mode) {
  const results = nodes.flatMap((n, i) => n.args.length ? [i] : []);
  if (mode === "forward") return [{kind: "start"}, ...results.map(node => ({kind: "tangent", node}))];
  return [{kind: "start"}, ...results.map(node => ({kind: "value", node})), {kind: "seed", node: root},
    ...D[mode].map(([e, term, total]) => ({kind: "edge", edge: edges[e], node: edges[e].tail, term: number(term), total: number(total)}))];
}

const now = {mode: "backward", leaf: 0, step: 0, predict: false, open: "follow", solved: new Set()};
let steps = stepsOf("backward"), tangent = [], playing = 0, built = [];

function setMode(mode, leaf) {
  now.mode = mode;
  now.leaf = leaf;
  now.solved.clear();
  steps = stepsOf(mode);
  tangent = nodes.map(() => 0);
  const by = D.variables[leaf];
  if (by) by.nodes.forEach((i, k) => { tangent[i] = number(by.tangents[k]); });
  $("slider").max = steps.length - 1;
  $("mode").value = mode;
  $("leaf").value = leaf;
  $("by").hidden = mode !== "forward";
  $("log").replaceChildren();
  built = [];
}

// ---- numbers as text: six digits, as the ξ tables print them

const raised = n => [...String(n)].map(c => c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("");
function short(x) {
  if (!Number.isFinite(x)) return x !== x ? "nan" : x > 0 ? "∞" : "−∞";
  const [m, e] = x.toExponential(5).split("e").map(Number);
  const text = e < -4 || e > 5 ? (m === 1 ? "" : m + "·") + "10" + raised(e) : String(Number(x.toPrecision(6)));
  return text.replace("-", "−");
}
const bare = name => name.replace(/^\((.*)\)$/s, "$1");   // (−W), where nothing stands around it
const bracketed = x => x < 0 || Object.is(x, -0) || short(x).includes("·") ? `(${short(x)})` : short(x);
const derivative = i => `d${nameOf(i)}/d${nameOf(D.variables[now.leaf].node)}`;

// ---- the state after a step: which values are known, and the running sums

function stateAt(step) {
  const tangents = now.mode === "forward";
  const known = nodes.map(n => !n.args.length);
  const sums = nodes.map((n, i) => tangents && known[i] && n.varies ? [tangent[i]] : null);
  for (const s of steps.slice(1, step + 1)) {
    if (s.kind === "value" || s.kind === "tangent") known[s.node] = true;
    if (s.kind === "tangent" && nodes[s.node].varies) sums[s.node] = [tangent[s.node]];
    if (s.kind === "seed") { sums.fill(null); nodes.forEach((n, i) => { if (n.varies) sums[i] = [0]; }); sums[root] = [1]; }
    if (s.kind === "edge") sums[s.node] = [...sums[s.node], s.total];
  }
  return {known, sums};
}
const sum = trail => trail[trail.length - 1];
const trailText = (trail, hidden) => {
  const texts = trail.map(short);
  if (hidden) texts[texts.length - 1] = "?";
  return (texts.length > 6 ? ["…", ...texts.slice(-5)] : texts).join(" → ");
};

// ---- the page's parts

function make(tag, text, name) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}
function exact(x, text = short(x), tag = "data") {   // a number with all its digits as its value
  const made = make(tag === "data" ? "data" : tag, text);
  made.setAttribute(tag === "data" ? "value" : "data-value", Object.is(x, -0) ? "-0" : String(x));
  return made;
}
function write(element, text) {   // only what changed: a step touches few of the elements of a large graph
  if (element.shown !== text) { element.textContent = text; element.shown = text; }
}

const pictures = [...document.querySelectorAll(".picture")].map(box => {
  const svg = box.querySelector("svg"), prefix = svg.id;
  svg.style.setProperty("--least", `${0.78 * svg.getAttribute("width")}px`);
  const find = key => svg.querySelector(`[id="${prefix}-${key}"]`);
  const found = nodes.map((_, i) => {
    const g = find(`n${i}`);
    return g && {g, value: g.querySelector(".value"), grad: g.querySelector(".grad")};
  });
  const wires = new Map();
  for (const e of edges) {
    const pair = groups.length && box.dataset.group === "all" && `q${groupOf[e.tail]}-${groupOf[e.head]}`;
    const g = find(pair || `e${e.key}`);
    if (g) wires.set(e, g);
  }
  const folded = groups.length && box.dataset.group === "all" ? groups.map((_, g) => find(`g${g}`)) : [];
  return {box, svg, found, wires, folded, group: box.dataset.group, tags: []};
});

const table = rows.map(row => {
  const n = nodes[row.node], tr = document.createElement("tr"), name = make("th", n.name);
  name.scope = "row";
  if (n.full) name.title = n.full;
  if (n.mark) name.append(make("span", n.mark, "mark"));
  const cells = ["value", "partials", "sum"].map(() => document.createElement("td"));
  tr.append(name, make("td", n.formula || "given"), ...cells);
  $("rows").append(tr);
  row.partials.forEach(p => {
    const line = make("div", `${p.name} = ${p.formula}`);
    if (p.formula !== short(number(p.value))) line.append(" = ", exact(number(p.value)));
    cells[1].append(line);
  });
  return {tr, value: cells[0], sum: cells[2]};
});

document.querySelector("table").classList.toggle("long", rows.length > 60);

// ---- one step in words: a heading, a sentence, equations (lists of texts and numbers), a line for the log

function told(step, state, hidden) {
  const s = steps[step];
  const result = x => hidden ? "?" : exact(x);
  if (s.kind === "start") {
    const forward = now.mode === "forward" && D.variables.length;
    return {phase: "Start", say: forward ? `Forward mode: values and their derivatives by ${nameOf(D.variables[now.leaf].node)} flow together, from the leaves up.`
      : "The leaves have their numbers. The forward pass computes the others, one by one; the backward pass then goes down every edge.",
      equation: forward ? [["", [`${derivative(D.variables[now.leaf].node)} = `, exact(1)]]] : [], log: "start"};
  }
  const n = nodes[s.node], name = n.name;
  if (s.kind === "value" || s.kind === "tangent") {
    const lines = [["", [`${bare(name)} = ${n.formula === bare(name) ? "" : n.formula + " = "}`, s.kind === "value" ? result(n.value) : exact(n.value)]]];
    let log = `${bare(name)} = ${s.kind === "value" && hidden ? "?" : short(n.value)}`;
    let say = `${bare(name)} is computed.`;
    if (s.kind === "tangent") {
      const into = edges.filter(e => e.head === s.node);
      const terms = into.flatMap((e, k) => [...(k ? [" + "] : []), exact(e.partial, bracketed(e.partial)), " × ", exact(tangent[e.tail], bracketed(tangent[e.tail]))]);
      const words = into.map(e => `${partial_(e)} × ${derivative(e.tail)}`).join(" + ");
      lines.push(["tangent", [`${derivative(s.node)} = ${words || "0: it does not vary"}`]]);
      if (into.length) lines.push(["", [`${derivative(s.node)} = `, ...terms, " = ", result(tangent[s.node])], "big"]);
      into.forEach(e => lines.push(["local partial", partialOf(e)]));
      log += `,  ${derivative(s.node)} = ${hidden ? "?" : short(tangent[s.node])}`;
      say = `${bare(name)} is computed, and with it its derivative: local partial times tangent${into.length > 1 ? ", summed over its operands" : ""}.`;
    } else lines[0].push("big");
    if (n.mark && !hidden) say += ` ${n.mark}.`;
    return {phase: `${s.kind === "value" ? "Forward pass" : "Forward mode"} · node ${step} of ${steps.filter(t => t.kind === s.kind).length}`, say, equation: lines, log};
  }
  if (s.kind === "seed") {
    return {phase: "Backward pass · its start", say: `The derivative of ${L} by itself is 1. Every other sum begins at 0.`,
      equation: [["", [`${d_(root)} = `, result(1)], "big"]], log: `${d_(root)} = ${hidden ? "?" : 1}`};
  }
  const e = s.edge, head = nodes[e.head].name, g = sum(state.sums[e.head]), trail = state.sums[s.node];
  const count = trail.length - 1, all = contributions[s.node];
  const early = now.mode === "wrong" && !same(g, right[e.head]);
  let say = `${head} passes ${d_(e.head)} on to ${name}, times the local partial of this edge.`;
  if (early) say = `✗ Too early: ${head} passes on ${short(g)} before all its contributions have arrived; its full sum is ${short(right[e.head])}.`;
  else if (g === 0) say = `${d_(e.head)} is exactly 0, so this edge contributes nothing${nodes[e.head].mark ? " whatever its slope" : ""}.`;
  else if (nodes[e.head].mark) say += ` ${nodes[e.head].mark} at ${head}.`;
  else if (all > 1) say += count < all ? ` ${name} is shared: ${count} of its ${all} contributions ${count > 1 ? "have" : "has"} arrived.` : ` All ${all} contributions have arrived: the sum is complete.`;
  const first = steps.findIndex(t => t.kind === "edge");
  const sumLine = [`${d_(s.node)}: `, make("b", trailText(trail, hidden))];
  if (!hidden) sumLine[1] = exact(s.total, trailText(trail), "b");
  return {
    phase: `${now.mode === "wrong" ? "Backward pass in a wrong order" : "Backward pass"} · edge ${step - first + 1} of ${steps.length - first}`, say, wrong: early,
    equation: [
      ["", [`${d_(s.node)} += ${d_(e.head)} × ${partial_(e)}`]],
      ["", [`${d_(s.node)} += `, exact(g, bracketed(g)), " × ", exact(e.partial, bracketed(e.partial)), " = ", result(s.term)], "big"],
      ["local partial", partialOf(e)],
      [`running sum, ${count} of ${all}`, sumLine]],
    log: `${d_(s.node)} += ${bracketed(g)} × ${bracketed(e.partial)} = ${hidden ? "?" : short(s.term)}${all > 1 ? `;  sum ${trailText(trail, hidden)}` : ""}`};
}
function partialOf(e) {
  const formula = e.formula === short(e.partial) ? "" : `${e.formula} = `;
  return [`${partial_(e)} = ${formula}`, exact(e.partial)];
}
function outcome() {   // what the last step has found
  const found = D.variables.map(x => x.node).filter((i, k, all) => all.indexOf(i) === k);
  const last = stateAt(steps.length - 1).sums;
  const bad = now.mode === "wrong" ? found.filter(i => !same(sum(last[i]), right[i])) : [];
  if (bad.length) return {wrong: true, text: bad.slice(0, 6).map(i => `✗ Wrong: ${d_(i)} = ${short(sum(last[i]))} in this order; right is ${short(right[i])}.`).join(" ")
    + " A node may pass its sum on only when all its contributions have arrived: in reverse topological order."};
  if (now.mode === "wrong") return {text: "Here the wrong order does no harm to the leaves."};
  return {text: `Done: ${found.slice(0, 6).map(i => `${d_(i)} = ${short(right[i])}`).join(", ")}${found.length > 6 ? " …" : ""}.`};
}

// ---- showing a step

function go(step) {
  now.step = Math.max(0, Math.min(steps.length - 1, step));
  $("verdict").textContent = "";
  $("answer").value = "";
  show();
}
function asked() { const s = steps[now.step]; return s.kind === "value" ? nodes[s.node].value : s.kind === "tangent" ? tangent[s.node] : s.kind === "seed" ? 1 : s.total; }

function show() {
  const s = steps[now.step], state = stateAt(now.step);
  const hidden = now.predict && s.kind !== "start" && !now.solved.has(now.step);
  const text = told(now.step, state, hidden);
  const atEnd = now.step === steps.length - 1 && s.kind === "edge" && !hidden;
  $("phase").textContent = text.phase;
  const end = atEnd ? outcome() : {text: ""};
  $("say").textContent = text.say;
  $("say").className = text.wrong ? "wrong" : "";
  $("outcome").textContent = end.text;
  $("outcome").className = end.wrong ? "wrong" : "right";
  $("equation").replaceChildren(...text.equation.map(([what, parts, size]) => {
    const line = make("div", "", size);
    if (what) line.append(make("span", `${what}  `, "what"));
    line.append(...parts);
    return line;
  }));
  const reveals = [showTable(s, state, hidden, atEnd), ...pictures.map(p => showPicture(p, s, state, hidden))];
  showLog(text.log);
  $("guess").hidden = !(now.predict && s.kind !== "start");
  $("question").textContent = s.kind === "start" ? "" : `${s.kind === "value" ? nameOf(s.node) : s.kind === "tangent" ? derivative(s.node) : `${d_(s.node)} after this step`} = `;
  $("slider").value = now.step;
  $("slider").setAttribute("aria-valuetext", `${text.phase}, step ${now.step} of ${steps.length - 1}`);
  $("count").textContent = `step ${now.step} of ${steps.length - 1}`;
  $("first").disabled = $("back").disabled = now.step === 0;
  $("last").disabled = $("next").disabled = now.step === steps.length - 1;
  keepInHash();
  const scrolls = reveals.map(found => found && reveal(...found));   // last: they ask for the layout, which every change would undo
  $("log").scrollTop = 1e9;
  scrolls.forEach(scroll => scroll?.());
}

function showTable(s, state, hidden, atEnd) {
  const here = s.kind === "start" ? -1 : nodes[s.node].row, from = s.kind === "edge" ? nodes[s.edge.head].row : -1;
  write($("running"), now.mode === "forward" && D.variables.length ? `dξn/d${nameOf(D.variables[now.leaf].node)}` : `d${L}/dξn`);
  rows.forEach((row, r) => {
    const i = row.node, n = nodes[i], cells = table[r], trail = state.sums[i], ask = hidden && s.node === i;
    cells.tr.className = r === here ? "live" : r === from ? "from" : "";
    if (r === here) cells.tr.setAttribute("aria-current", "step"); else cells.tr.removeAttribute("aria-current");
    fill(cells.value, n.value, !state.known[i] ? "" : ask && s.kind === "value" ? "?" : short(n.value));
    const shared = trail && (contributions[i] > 1 || trail.length > 2);
    const waits = trail && trail.length === 1 && now.mode !== "forward" && i !== root && contributions[i] > 0;
    let text = !trail ? "" : ask && s.kind !== "value" ? (shared ? trailText(trail, true) : "?") : waits ? "0" : shared ? trailText(trail) : short(sum(trail));
    if (atEnd && now.mode === "wrong" && trail && !same(sum(trail), right[i])) text += `  ✗ right: ${short(right[i])}`;
    fill(cells.sum, trail ? sum(trail) : NaN, text);
    cells.sum.classList.toggle("wrong", text.includes("✗"));
  });
  return here >= 0 ? [table[here].tr.closest(".scroll"), table[here].tr, table[here].tr, false] : null;
}
function fill(cell, x, text) {
  if (cell.shown === text && same(cell.x, x)) return;
  cell.x = x;
  write(cell, text);
  if (text && !text.includes("?")) cell.dataset.value = Object.is(x, -0) ? "-0" : String(x);
  else delete cell.dataset.value;
}

function showPicture(p, s, state, hidden) {
  const edge = s.kind === "edge" ? s.edge : null;
  const into = s.kind === "value" || s.kind === "tangent" ? new Set(edges.filter(e => e.head === s.node)) : new Set(edge ? [edge] : []);
  const lit = s.kind === "start" ? [] : edge ? [edge.head, edge.tail] : [s.node];
  const opened = String(now.open === "follow" ? (lit.length ? groupOf[lit[lit.length - 1]] : "") : now.open);
  if (p.group !== "all") {
    p.box.hidden = p.group !== opened;
    p.box.tabIndex = p.box.hidden ? -1 : 0;
    if (p.box.hidden) return null;
  }
  p.found.forEach((box, i) => {
    if (!box) return;
    const trail = state.sums[i], ask = hidden && s.node === i;
    setClass(box.g, {live: lit.includes(i), waiting: !state.known[i]});
    if (box.value) write(box.value, !state.known[i] ? "" : ask && s.kind === "value" ? "?" : short(nodes[i].value));
    if (box.grad) {
      write(box.grad, !trail ? "" : ask && s.kind !== "value" ? "?" : short(sum(trail)));
      write(box.grad.previousElementSibling, !trail ? "" : now.mode === "forward" ? "tangent" : "grad");
    }
  });
  p.folded.forEach((g, k) => { if (g) setClass(g, {live: lit.some(i => groupOf[i] === k), opened: String(k) === opened}); });
  const passed = new Set(steps.slice(0, now.step + 1).map(t => t.edge && p.wires.get(t.edge)));
  const live = new Set([...into].map(e => p.wires.get(e)));
  new Set(p.wires.values()).forEach(g => setClass(g, {live: live.has(g), done: passed.has(g), flow: live.has(g), up: live.has(g) && !!edge}));
  tag(p, [...into]);
  const first = lit.map(i => p.found[i]?.g || p.folded[groupOf[i]]).filter(Boolean);
  return first.length ? [p.box, first[0], first[first.length - 1]] : null;
}
function setClass(g, names) {
  const text = Object.keys(names).filter(name => names[name]).join(" ");
  if (g.state === text) return;
  for (const name in names) g.classList.toggle(name, names[name]);
  g.state = text;
}
function tag(p, live) {   // the local partials, written on the live edges
  p.tags.forEach(text => text.remove());
  p.tags = live.slice(0, 8).flatMap(edge => {
    const path = p.wires.get(edge)?.querySelector("path");
    if (!path) return [];
    const [x, y] = middle(path), text = document.createElementNS(SVG, "text");
    for (const [name, at] of Object.entries({"class": "tag", "text-anchor": "middle", x, y: y - 6})) text.setAttribute(name, at);
    text.textContent = `×${bracketed(edge.partial)}`;
    p.svg.append(text);
    return [text];
  });
}
function middle(path) {   // of its cubic in the middle; getPointAtLength would need the layout, ten times slower
  const xs = path.getAttribute("d").match(/-?[\d.]+/g).map(Number), start = 6 * Math.floor((xs.length - 2) / 12);
  return [0, 1].map(k => (xs[start + k] + 3 * xs[start + 2 + k] + 3 * xs[start + 4 + k] + xs[start + 6 + k]) / 8);
}
const calm = matchMedia("(prefers-reduced-motion: reduce)");
function reveal(box, first, last, sideways = true) {   // scroll the box, never the page
  if (box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight) return null;
  const b = box.getBoundingClientRect(), f = first.getBoundingClientRect(), l = last.getBoundingClientRect();
  const dx = sideways ? shift(Math.min(f.left, l.left), Math.max(f.right, l.right), b.left, b.left + box.clientWidth) : 0;
  const dy = shift(Math.min(f.top, l.top), Math.max(f.bottom, l.bottom), b.top + 30, b.top + box.clientHeight);
  return dx || dy ? () => box.scrollBy({left: dx, top: dy, behavior: calm.matches || now.fast || Math.hypot(dx, dy) > 800 ? "auto" : "smooth"}) : null;
}
const shift = (from, to, low, high) => from >= low && to <= high ? 0 : (from + to - low - high) / 2;

function showLog(newest) {
  const log = $("log");
  while (built.length && built.length >= now.step) { built.pop(); log.lastChild.remove(); }   // with the last one: it may have been hidden
  for (let step = built.length; step < now.step; step++) add(told(step, stateAt(step), false).log);
  add(newest);
  function add(text) { built.push(text); log.append(make("li", text)); }
}

// ---- controls

function play(on) {
  clearInterval(playing);
  playing = 0;
  now.fast = on;
  if (on) {
    if (now.step === steps.length - 1) go(0);
    playing = setInterval(() => now.step < steps.length - 1 ? go(now.step + 1) : play(false), Number($("speed").value));
  }
  $("play").textContent = on ? "pause" : "play";
  $("play").setAttribute("aria-label", on ? "Pause (space)" : "Play (space)");
  if (!on) keepInHash();
}
function move(step) { play(false); go(step); }
$("first").onclick = () => move(0);
$("back").onclick = () => move(now.step - 1);
$("next").onclick = () => move(now.step + 1);
$("last").onclick = () => move(steps.length - 1);
$("play").onclick = () => play(!playing);
$("speed").onchange = () => { if (playing) play(true); };
$("slider").oninput = () => move(Number($("slider").value));
$("mode").onchange = () => { setMode($("mode").value, now.leaf); move(0); };
$("leaf").onchange = () => { const step = now.step; setMode(now.mode, Number($("leaf").value)); move(step); };
$("predict").onchange = () => { now.predict = $("predict").checked; now.solved.clear(); $("play").disabled = now.predict; built = []; $("log").replaceChildren(); move(now.step); };
$("fit").onchange = () => { document.querySelector("main").classList.toggle("fit", $("fit").checked); show(); };
$("open").onchange = () => { now.open = $("open").value; show(); };
$("theme").onclick = () => {
  const root = document.documentElement, dark = getComputedStyle(root).colorScheme === "dark" || (getComputedStyle(root).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = dark ? "light" : "dark";
};
document.addEventListener("keydown", event => {
  const at = event.target;
  if (event.altKey || event.ctrlKey || event.metaKey || at.matches("input:not([type=checkbox]), select")) return;
  const steer = {ArrowRight: () => move(now.step + 1), ArrowLeft: () => move(now.step - 1), Home: () => move(0), End: () => move(steps.length - 1)}[event.key]
    || (event.key === " " && !at.matches("button, input") && !now.predict ? () => play(!playing) : null);
  if (steer) { event.preventDefault(); steer(); }
});

// ---- predict mode

function parse(text) {   // -0.25, 1e-3, 1/4, ∞; undefined for what is no number
  const t = text.trim().replace(/[−–]/g, "-").replace(/∞|\binf(inity)?\b/i, "Infinity").replace(/^(nan)$/i, "NaN");
  if (t === "NaN") return NaN;
  const parts = t.split("/").map(part => /^[-+]?(\d+\.?\d*(e[-+]?\d+)?|\.\d+(e[-+]?\d+)?|Infinity)$/i.test(part.trim()) ? Number(part) : undefined);
  if (parts.length > 2 || parts.includes(undefined)) return undefined;
  return parts.length === 2 ? parts[0] / parts[1] : parts[0];
}
const close = (x, truth) => same(x, truth) || Math.abs(x - truth) <= 0.005 * Math.abs(truth);   // three digits are enough

$("guess").onsubmit = event => {
  event.preventDefault();
  const s = steps[now.step], guess = parse($("answer").value), truth = asked();
  if (now.solved.has(now.step)) return go(now.step + 1);
  if (guess === undefined) return tell("Type a number, as −0.25, 1e-3 or 1/4.", "wrong");
  if (close(guess, truth)) {
    now.solved.add(now.step);
    show();
    return tell(`✓ Right: ${short(truth)}. Enter goes on.`, "right");
  }
  tell(s.kind === "edge" && close(guess, s.term) ? "✗ Wrong: that is what this edge adds; add it to the sum so far." : "✗ Wrong, try again.", "wrong");
};
$("show").onclick = () => { now.solved.add(now.step); show(); tell(`It is ${short(asked())}.`, ""); };
function tell(text, name) { $("verdict").textContent = text; $("verdict").className = name; }

// ---- #step=12&mode=wrong&by=1

let hashTimer = 0;
const addressed = /^(file|https?):$/.test(location.protocol);   // a notebook's srcdoc has no address of its own
function keepInHash() {
  clearTimeout(hashTimer);
  if (!addressed || playing) return;
  hashTimer = setTimeout(() => {   // browsers limit how often
    const text = `#step=${now.step}` + (now.mode === "backward" ? "" : `&mode=${now.mode}`) + (now.leaf ? `&by=${now.leaf}` : "");
    try { if (location.hash !== text) history.replaceState(null, "", text); } catch { /* not permitted here */ }
  }, 150);
}
function readHash() {
  const asked = new URLSearchParams(location.hash.slice(1)), mode = asked.get("mode"), leaf = Number(asked.get("by"));
  const known = [...$("mode").options].some(option => option.value === mode && !option.disabled);
  setMode(known ? mode : "backward", D.variables[leaf] ? leaf : 0);
  go(Number(asked.get("step")) || 0);
}
addEventListener("hashchange", () => { play(false); readHash(); });

// ---- begin

D.variables.forEach((x, k) => { const option = make("option", nameOf(x.node)); option.value = k; $("leaf").append(option); });
if (!D.variables.length) $("mode").querySelector("[value=forward]").disabled = true;
if (D.wrong.every(([e, , total], k) => D.backward[k][0] === e && same(number(D.backward[k][2]), number(total)))
    || !edges.some(e => contributions[e.head] > 1)) {
  const option = $("mode").querySelector("[value=wrong]");
  option.disabled = true;
  option.textContent += " (needs a shared result)";
}
$("choice").hidden = !groups.length;
[["follow", "the step's group"], ["none", "none"], ...groups.flatMap((m, g) => m.length > 1 ? [[g, D.names[g]]] : [])].forEach(([value, text]) => {
  const option = make("option", text);
  option.value = value;
  $("open").append(option);
});
pictures.forEach(p => p.folded.forEach((box, g) => {
  if (box) box.addEventListener("click", () => { now.open = now.open === String(g) ? "none" : String(g); $("open").value = now.open; show(); });
}));
const {width, height} = pictures[0].svg.viewBox.baseVal;
document.querySelector("main").classList.toggle("tall", !groups.length && height > 0.6 * width);
readHash();
