"use strict";
const get = (id) => document.getElementById(id);
const data = JSON.parse(get("data").textContent);
const n = data.names.length, cell = data.cell, columns = data.columns;
const N_NEAREST = 24, N_LISTED = 120;

// Features: int8 rows, compared by their cosine.
const bytes = Uint8Array.from(atob(data.vectors), (c) => c.charCodeAt(0));
const vectors = new Int8Array(bytes.buffer), width = vectors.length / n;
function dot(i, j) {
  let sum = 0;
  for (let k = 0, a = i * width, b = j * width; k < width; k++)
    sum += vectors[a + k] * vectors[b + k];
  return sum;
}
const lengths = Array.from({ length: n }, (_, i) => Math.sqrt(dot(i, i)) || 1);
function nearest(query) {
  const cosines = lengths.map((length, i) => dot(query, i) / length / lengths[query]);
  const others = [...cosines.keys()].filter((i) => i !== query);
  others.sort((i, j) => cosines[j] - cosines[i] || i - j);
  return others.slice(0, N_NEAREST).map((i) => [i, cosines[i]]);
}

// Pictures: cells of sheets.
const sheets = data.sheets.map((uri) => Object.assign(new Image(), { src: uri }));
const rules = data.sheets.map((uri, s) => `.s${s} { background-image: url(${uri}); }`);
document.head.append(Object.assign(document.createElement("style"),
  { textContent: rules.join("\n") }));
function cellOf(i) {
  const inside = i % columns ** 2;
  return [Math.floor(i / columns ** 2), (inside % columns) * cell,
    Math.floor(inside / columns) * cell];
}
function thumbnail(i) {
  const [sheet, x, y] = cellOf(i), picture = document.createElement("i");
  picture.className = `s${sheet}`;
  picture.style.backgroundPosition = `-${x}px -${y}px`;
  return picture;
}
function tile(i, above) {
  const button = document.createElement("button"), name = data.names[i];
  button.className = "picture";
  button.title = name;
  button.setAttribute("aria-label", above ? `${name}, ${above}` : name);
  button.append(thumbnail(i));
  if (above) button.append(Object.assign(document.createElement("b"),
    { textContent: above }));
  button.append(Object.assign(document.createElement("span"),
    { textContent: name.slice(name.lastIndexOf("/") + 1) }));
  button.addEventListener("click", () => { ask(i); get("search").scrollIntoView(); });
  return button;
}

// Search. The address says of which image, so that the back button works.
let query = 0, found = new Set();
function ask(i) { location.hash = i; }
function show() {
  const asked = Number(location.hash.slice(1));
  query = Number.isInteger(asked) && asked >= 0 && asked < n ? asked : 0;
  const pairs = nearest(query);
  found = new Set(pairs.map(([i]) => i));
  get("query").replaceChildren(thumbnail(query));
  get("name").textContent = data.folder + data.names[query];
  get("nearest").replaceChildren(...pairs.map(([i, c]) => tile(i, c.toFixed(3))));
  draw();
}
window.addEventListener("hashchange", show);

// Map: pictures at their places; `view` is the corner and how much closer it is.
const canvas = get("map"), brush = canvas.getContext("2d");
const view = { x: 0, y: 0, zoom: 1 };
let boxes = [];
function draw() {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = w * ratio;
  canvas.height = h * ratio;
  brush.scale(ratio, ratio);
  const all = Math.sqrt((w * h) / n) * 0.9;
  const side = Math.min(cell, Math.max(12, all) * Math.sqrt(view.zoom));
  const edge = Math.min(48, Math.max(12, all)) / 2 + 4;
  const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  boxes = data.places.map(([x, y], i) => {
    const left = edge + x * (w - 2 * edge), top = edge + y * (h - 2 * edge);
    return [(left - view.x) * view.zoom - side / 2, (top - view.y) * view.zoom - side / 2,
      side, i];
  }).filter(([x, y]) => x > -side && y > -side && x < w && y < h);
  const rank = (i) => (i === query ? 2 : found.has(i) ? 1 : 0);
  boxes.sort((a, b) => rank(a[3]) - rank(b[3]));
  for (const [x, y, , i] of boxes) {
    const [sheet, left, top] = cellOf(i);
    if (sheets[sheet].complete)
      brush.drawImage(sheets[sheet], left, top, cell, cell, x, y, side, side);
    if (rank(i)) {
      brush.strokeStyle = accent;
      brush.lineWidth = i === query ? 4 : 2;
      brush.strokeRect(x, y, side, side);
    }
  }
}
function under(event) {
  const hit = boxes.findLast(([x, y, side]) => event.offsetX >= x &&
    event.offsetX < x + side && event.offsetY >= y && event.offsetY < y + side);
  return hit && hit[3];
}
function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const next = Math.min(40, Math.max(1, view.zoom * factor));
  view.x += x / view.zoom - x / next;
  view.y += y / view.zoom - y / next;
  view.zoom = next;
  if (next === 1) view.x = view.y = 0;
  draw();
}
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
}, { passive: false });
let held = null;
canvas.addEventListener("pointerdown", (event) => {
  held = { x: event.offsetX, y: event.offsetY, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  const i = under(event);
  get("under").textContent = i === undefined ? "" : data.names[i];
  if (!held) return;
  const [dx, dy] = [event.offsetX - held.x, event.offsetY - held.y];
  if (!held.moved && Math.hypot(dx, dy) < 4) return;
  view.x -= dx / view.zoom;
  view.y -= dy / view.zoom;
  held = { x: event.offsetX, y: event.offsetY, moved: true };
  draw();
});
canvas.addEventListener("pointerup", (event) => {
  const i = under(event), moved = held && held.moved;
  held = null;
  if (i !== undefined && !moved) ask(i);
});
get("closer").addEventListener("click", () => zoom(1.6));
get("farther").addEventListener("click", () => zoom(1 / 1.6));
get("whole").addEventListener("click", () => zoom(0));
window.addEventListener("resize", draw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
for (const sheet of sheets) sheet.addEventListener("load", draw);

// Near-duplicates, and the list of all.
for (const group of data.groups) {
  const row = document.createElement("div");
  row.className = "pictures group";
  row.append(...group.map((i) => tile(i)));
  get("groups").append(row);
}
function list() {
  const part = get("part").value.toLowerCase();
  const fits = data.names.map((_, i) => i)
    .filter((i) => data.names[i].toLowerCase().includes(part));
  get("all").replaceChildren(...fits.slice(0, N_LISTED).map((i) => tile(i)));
  const more = fits.length > N_LISTED ? `, of which ${N_LISTED} are shown` : "";
  get("found").textContent = `${fits.length} of ${n}${more}`;
}
get("part").addEventListener("input", list);
list();
show();
