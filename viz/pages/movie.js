"use strict";
// Draws one frame of the training at a time. Names and numbers are data: they become text nodes and attributes, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const { frames, network, columns, epochs } = data;
const element = id => document.getElementById(id);
const last = frames.length - 1;
const SHAPES = ["●", "■", "▲", "◆"];
const PAD = { left: 48, right: 12, top: 8, bottom: 38 };
let now = last, timer = 0;

// ---- small tools

const short = x => {
  const text = x && Math.abs(x) < 1e-3 ? x.toExponential(2).replace(/\.?0+e/, "e") : `${Number(x.toPrecision(3))}`;
  return text.replace(/-/g, "−");
};
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const channels = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
const mixed = (a, b, t) => a.map((x, i) => x + (b[i] - x) * t);
const css = rgb => `rgb(${rgb.map(Math.round).join(" ")})`;
const classColour = k => channels(data.colours[k % data.colours.length]);

function ticks(low, high, most) {   // round numbers from low to high
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find(m => m * power >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return found;
}

function svg(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return parent.appendChild(made);
}

function blank(id, ratio, least) {   // an empty svg as wide as the page gives
  const picture = element(id), width = picture.parentElement.clientWidth;
  const height = Math.round(Math.max(least, Math.min(width * ratio, 560, innerHeight * 0.6)));
  picture.replaceChildren();
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  picture.setAttribute("height", height);
  return [picture, width, height];
}

function clipped(text, most) { return text.length > most ? text.slice(0, most - 1) + "…" : text; }

// ---- the regions of the plane, or the curve ŷ(x)

function layers(frame) {   // for each class the logarithms of its probabilities at the grid's points; of a regression, ŷ
  const whole = 65535, n = data.resolution ** 2;
  const bytes = new DataView(Uint8Array.from(atob(frame.picture), c => c.charCodeAt(0)).buffer);
  const numbers = Array.from({ length: bytes.byteLength / 2 }, (_, i) => bytes.getUint16(2 * i, true));
  const log = f => Float32Array.from(numbers, u => Math.log(Math.max(f(u), 0.5) / whole));
  if (data.kind === "regression") return [Float32Array.from(numbers, u => u / whole)];
  if (data.kind === "binary") return [log(u => whole - u), log(u => u)];
  const all = log(u => u);
  return Array.from({ length: all.length / n }, (_, k) => all.subarray(k * n, (k + 1) * n));
}

function taps(size, n) {   // Catmull and Rom's interpolation: for each pixel four of n points, and how much of each
  const points = new Int32Array(4 * size), weights = new Float32Array(4 * size);
  for (let i = 0; i < size; i++) {
    const u = i / (size - 1) * (n - 1), j = Math.min(n - 2, Math.floor(u)), t = u - j;
    const four = [((2 - t) * t - 1) * t, (3 * t - 5) * t * t + 2, ((4 - 3 * t) * t + 1) * t, (t - 1) * t * t];
    weights.set(four.map(w => w / 2), 4 * i);
    for (let d = 0; d < 4; d++) points[4 * i + d] = Math.max(0, Math.min(n - 1, j - 1 + d));
  }
  return [points, weights];
}

function stretched(values, n, [points, weights]) {   // n rows, each as long as the image is wide
  const width = points.length / 4, found = new Float32Array(n * width);
  for (let j = 0; j < n; j++)
    for (let i = 0; i < width; i++)
      for (let d = 4 * i; d < 4 * i + 4; d++) found[j * width + i] += weights[d] * values[j * n + points[d]];
  return found;
}

function field(frame, width, height) {   // an image: the likeliest class, paler where it is less likely, and the borders
  const n = data.resolution, across = taps(width, n), [points, weights] = taps(height, n);
  const scores = layers(frame).map(values => stretched(values, n, across)), count = scores.length;
  const page = channels(colour("--page")), ink = channels(colour("--ink"));
  const palette = [...Array(Math.max(2, count)).keys()].map(classColour);
  const image = new ImageData(width, height), winners = new Uint8Array(width * height), here = new Float64Array(count);
  for (let row = 0, spot = 0; row < height; row++) {
    const at = 4 * (height - 1 - row), [wa, wb, wc, wd] = weights.subarray(at, at + 4);
    const [a, b, c, d] = points.subarray(at, at + 4).map(j => j * width);
    for (let column = 0; column < width; column++, spot++) {
      let winner = 0, sum = 0;
      for (let k = 0; k < count; k++) {
        const s = scores[k];
        here[k] = wa * s[a + column] + wb * s[b + column] + wc * s[c + column] + wd * s[d + column];
        if (here[k] > here[winner]) winner = k;
      }
      for (let k = 0; k < count; k++) sum += Math.exp(here[k] - here[winner]);
      winners[spot] = winner;
      const border = (column > 1 && winners[spot - 2] !== winner) || (row > 1 && winners[spot - 2 * width] !== winner);
      const strength = count === 1 ? 0.6 : 0.08 + 0.45 * (1 / sum - 1 / count) / (1 - 1 / count);
      for (let c = 0; c < 3; c++) {
        const shade = count === 1 ? palette[0][c] + (palette[1][c] - palette[0][c]) * here[0] : palette[winner][c];
        image.data[4 * spot + c] = border ? ink[c] : page[c] + (shade - page[c]) * strength;
      }
      image.data[4 * spot + 3] = 255;
    }
  }
  return image;
}

function marker(context, k, x, y, r) {
  context.beginPath();
  const shape = k % SHAPES.length;
  if (shape === 0) context.arc(x, y, r, 0, 7);
  else if (shape === 1) context.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
  else {
    const corners = shape === 2 ? [[0, -1.2], [1.1, 0.8], [-1.1, 0.8]] : [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]];
    corners.forEach(([dx, dy], i) => context[i ? "lineTo" : "moveTo"](x + dx * r, y + dy * r));
    context.closePath();
  }
  context.fill();
  context.stroke();
}

function curveRange() {   // of ŷ and y over the whole movie, so that the axis stands still
  const ys = frames.flatMap(frame => frame.picture.flat()).concat(data.kind === "regression" ? data.targets : [0, 1]);
  const [low, high] = ys.reduce(([a, b], y) => [Math.min(a, y), Math.max(b, y)], [Infinity, -Infinity]);
  return [low - 0.06 * (high - low || 1), high + 0.06 * (high - low || 1)];
}

const plane = data.range && data.range.length === 2;
const curve = data.range && data.range.length === 1;
const yRange = plane ? data.range[1] : curve ? curveRange() : null;

function drawRegions() {
  const canvas = element("regions"), frame = frames[now], scale = Math.min(3, window.devicePixelRatio || 1);
  const width = canvas.parentElement.clientWidth;
  const height = Math.round(Math.min(width * 0.86, 640, Math.max(300, innerHeight * 0.75)));
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d"), ink = colour("--ink"), faint = colour("--faint");
  const right = width - PAD.right, bottom = height - PAD.bottom, [[low, high], [floor, top]] = [data.range[0], yRange];
  const x = u => PAD.left + (u - low) / (high - low) * (right - PAD.left);
  const y = v => bottom - (v - floor) / (top - floor) * (bottom - PAD.top);
  context.scale(scale, scale);
  if (plane) {
    const part = document.createElement("canvas"), fine = data.classes.length > 3 ? 1 : 2;   // twice as fine: smooth borders
    part.width = fine * Math.round(right - PAD.left);
    part.height = fine * Math.round(bottom - PAD.top);
    part.getContext("2d").putImageData(field(frame, part.width, part.height), 0, 0);
    context.drawImage(part, PAD.left, PAD.top, right - PAD.left, bottom - PAD.top);
  } else {
    frame.picture.forEach((line, k) => {
      context.beginPath();
      line.forEach((v, i) => context[i ? "lineTo" : "moveTo"](x(low + (high - low) * i / (line.length - 1)), y(v)));
      context.strokeStyle = frame.picture.length > 1 ? css(classColour(k)) : colour("--loss");
      context.setLineDash(k ? [7, 3 * k] : []);
      context.lineWidth = 2.5;
      context.stroke();
    });
    context.setLineDash([]);
  }
  context.lineWidth = 1;
  context.strokeStyle = faint;
  context.strokeRect(PAD.left, PAD.top, right - PAD.left, bottom - PAD.top);
  context.fillStyle = ink;
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  for (const t of ticks(low, high, 6)) context.fillText(short(t), x(t), bottom + 16);
  context.fillText(clipped(data.features[0], 60), (PAD.left + right) / 2, height - 5);
  context.textAlign = "right";
  for (const t of ticks(floor, top, 6)) context.fillText(short(t), PAD.left - 6, y(t) + 4);
  context.save();
  context.translate(12, (PAD.top + bottom) / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  const ordinate = plane ? data.features[1] : data.kind === "regression" ? "ŷ and y" : "probability";
  context.fillText(clipped(ordinate, 60), 0, 0);
  context.restore();
  const [least, greatest] = [Math.min(...data.targets), Math.max(...data.targets)];
  const radius = Math.max(3, Math.min(5.5, width / 90));
  data.points.forEach(([u, v], i) => {
    const target = data.targets[i], measured = data.kind === "regression";
    context.strokeStyle = colour("--outline");
    const shade = plane ? (target - least) / (greatest - least) : 1;   // as the plane's
    context.fillStyle = css(measured ? mixed(classColour(0), classColour(1), shade) : classColour(target));
    const height = plane ? v : measured || data.kind === "binary" ? target : 0;
    marker(context, measured ? 0 : target, x(u), y(height), radius);
  });
  canvas.setAttribute("aria-label", `${plane ? "What the model says in the plane" : "The model's curve"} with the examples, `
    + element("status").textContent);
}

function legend() {
  const outputs = data.kind === "regression" ? "Outputs" : "Decision regions";
  element("regions-caption").textContent = curve ? "Model and examples" : outputs;
  const [low, high] = [Math.min(...data.targets), Math.max(...data.targets)];
  const names = plane && data.kind === "regression" ? [`ŷ ≤ ${short(low)}`, `ŷ ≥ ${short(high)}`] : data.classes;
  names.forEach((name, k) => {
    const item = element("legend").appendChild(document.createElement("li")), mark = document.createElement("span");
    mark.textContent = `${SHAPES[names === data.classes ? k % SHAPES.length : 1]} `;
    mark.style.color = css(classColour(k));
    mark.setAttribute("aria-hidden", "true");
    item.append(mark, name);
  });
}

// ---- the losses

function drawLoss() {
  const [picture, width, height] = blank("loss", 0.42, 170), { left, right, top, bottom } = PAD;
  const all = Object.values(columns).flat(), log = Math.min(...all) > 0 && Math.max(...all) > 20 * Math.min(...all);
  const f = log ? Math.log10 : v => v, low = f(Math.min(...all)), high = f(Math.max(...all)), gap = (high - low || 1) * 0.06;
  const first = Math.min(frames[0].epoch, epochs[0]), end = Math.max(epochs[epochs.length - 1], first + 1);
  const x = epoch => left + (epoch - first) / (end - first) * (width - left - right);
  const y = v => height - bottom - (f(v) - low + gap) / (high - low + 2 * gap) * (height - top - bottom);
  let marks = log ? ticks(low, high, 4).filter(Number.isInteger).map(t => 10 ** t) : ticks(low, high, 5);
  if (marks.length < 2) marks = [0.1, 0.5, 0.9].map(t => low + t * (high - low)).map(t => log ? 10 ** t : t);
  for (const t of marks) {
    svg(picture, "line", { class: "grid", x1: left, x2: width - right, y1: y(t), y2: y(t) });
    svg(picture, "text", { x: left - 6, y: y(t) + 4, "text-anchor": "end" }, short(t));
  }
  for (const t of ticks(first, end, 6).filter(Number.isInteger))
    svg(picture, "text", { x: x(t), y: height - bottom + 17, "text-anchor": "middle" }, short(t));
  svg(picture, "text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle", class: "faint" }, "epoch");
  svg(picture, "line", { class: "now", x1: x(frames[now].epoch), x2: x(frames[now].epoch), y1: top, y2: height - bottom });
  const key = { loss: "training", val_loss: "validation" };
  Object.entries(columns).forEach(([name, column], i) => {
    svg(picture, "polyline", { class: `line ${name}`, points: column.map((v, k) => `${x(epochs[k])},${y(v)}`).join(" ") });
    const k = epochs.indexOf(frames[now].epoch);
    if (k >= 0) svg(picture, "circle", { class: name, r: 5, cx: x(epochs[k]), cy: y(column[k]) });
    if (Object.keys(columns).length > 1) {
      svg(picture, "line", { class: `line ${name}`, x1: width - 120, x2: width - 90, y1: 20 + 18 * i, y2: 20 + 18 * i });
      svg(picture, "text", { x: width - 84, y: 24 + 18 * i }, key[name]);
    }
  });
  picture.setAttribute("aria-label", `Loss over ${epochs.length} epochs; ${element("status").textContent}`);
}

// ---- the network

const largest = Math.max(...frames.map(frame => frame.largest || 0));

function drawNetwork() {
  const [picture, width, height] = blank("network", 0.55, 240), shown = network.columns, net = frames[now].net;
  const tallest = Math.max(...shown.map(column => column.length)), step = (height - 34) / tallest;
  const radius = Math.min(13, step * 0.34), centre = (height - 34) / 2 + 4;
  const outputs = shown.at(-1).map(unit => data.kind === "classes" && unit !== null ? clipped(data.classes[unit], 12) : "ŷ");
  const left = 58, right = width - 30 - 7 * Math.max(3, ...outputs.map(name => name.length));
  const x = i => left + i * (right - left) / (shown.length - 1);
  const y = (column, k) => centre + (k - (column.length - 1) / 2) * step;
  const [negative, middle, positive] = ["--negative", "--middle", "--positive"].map(name => channels(colour(name)));
  const tint = w => css(mixed(middle, w < 0 ? negative : positive, Math.sqrt(Math.abs(w) / largest)));
  const places = shown.map((column, i) =>
    column.map((unit, k) => [unit, x(i), y(column, k)]).filter(([unit]) => unit !== null));
  const widest = 5 * Math.min(1, Math.sqrt(40 / Math.max(...net.map(layer => layer.length * (layer[0].length - 1)))));
  const edges = net.flatMap((layer, i) =>
    layer.flatMap(([, ...weights], b) => weights.map((w, a) => [w, places[i][a], places[i + 1][b]])));
  for (const [w, [, x1, y1], [, x2, y2]] of edges.sort((a, b) => Math.abs(a[0]) - Math.abs(b[0])))
    svg(picture, "line", { x1, y1, x2, y2, stroke: tint(w), "stroke-width": 0.4 + widest * Math.abs(w) / largest,
      "stroke-dasharray": w < 0 ? "6 3" : "none" });
  places.forEach((column, i) => column.forEach(([unit, cx, cy], k) => {
    const bias = i ? net[i - 1][k][0] : null;
    const circle = svg(picture, "circle", { class: "unit", r: radius, cx, cy, fill: i ? tint(bias) : colour("--page") });
    if (i) svg(circle, "title", {}, `bias ${short(bias)}`);
    if (!i) svg(picture, "text", { x: cx - radius - 5, y: cy + 4, "text-anchor": "end" }, clipped(data.features[unit], 6));
    else if (i === places.length - 1) svg(picture, "text", { x: cx + radius + 5, y: cy + 4 }, outputs[shown[i].indexOf(unit)]);
  }));
  shown.forEach((column, i) => {
    const k = column.indexOf(null), size = network.sizes[i], more = `⋮ ${size - column.length + 1} more`;
    const name = i ? network.activations[i - 1] : size > 1 ? "inputs" : "input";
    if (k >= 0) svg(picture, "text", { x: x(i), y: y(column, k) + 4, "text-anchor": "middle" }, more);
    svg(picture, "text", { x: x(i), y: height - 4, "text-anchor": "middle", class: "faint" }, `${size} ${clipped(name, 16)}`);
  });
  const sizes = network.sizes.join("–");
  picture.setAttribute("aria-label", `Network of ${sizes} units; the largest weight or bias is ${short(largest)}`);
}

// ---- the frame, and moving between frames

function show(k) {
  now = Math.max(0, Math.min(last, k));
  const { epoch, accuracy } = frames[now], at = epochs.indexOf(epoch), text = [`Epoch ${epoch} of ${frames[last].epoch}`];
  if (at < 0 && epoch === 0) text.push("before training");
  for (const [name, label] of [["loss", "loss"], ["val_loss", "validation loss"]])
    if (at >= 0 && columns[name]) text.push(`${label} ${short(columns[name][at])}`);
  if (accuracy !== undefined) text.push(`accuracy ${short(accuracy)}`);
  element("status").textContent = text.join(" · ");
  element("slider").value = now;
  element("slider").setAttribute("aria-valuetext", `Epoch ${epoch}`);
  element("back").disabled = now === 0;
  element("forward").disabled = now === last;
  draw();
}

function draw() {
  if (data.range) drawRegions();
  if (epochs.length) drawLoss();
  if (network) drawNetwork();
}

function play() {
  if (timer) return pause();
  if (now === last) show(0);
  element("play").textContent = "Pause";
  element("status").setAttribute("aria-live", "off");   // a sentence for every frame would never end
  timer = setInterval(() => { show(now + 1); if (now === last) pause(); }, Math.max(60, Math.min(500, 9000 / frames.length)));
}

function pause() {
  clearInterval(timer);
  timer = 0;
  element("play").textContent = "Play";
  element("status").setAttribute("aria-live", "polite");
  show(now);
}

function step(k) { if (timer) pause(); show(k); }

element("regions-figure").hidden = !data.range;
element("loss-figure").hidden = !epochs.length;
element("network-figure").hidden = !network;
document.querySelector("main").classList.toggle("wide", Boolean(data.range && (network || epochs.length)));
element("loss-name").textContent = data.loss;
element("slider").max = last;
element("play").disabled = last === 0;
element("play").addEventListener("click", play);
element("back").addEventListener("click", () => step(now - 1));
element("forward").addEventListener("click", () => step(now + 1));
element("slider").addEventListener("input", event => step(Number(event.target.value)));
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target === element("slider")) return;
  const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
  if (to !== undefined) step(to);
  else if (event.key === " " && event.target.tagName !== "BUTTON" && last) play();
  else return;
  event.preventDefault();
});
window.addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
if (data.range) legend();
show(last);
