// The layout editor: the drawing follows the numbers, the numbers follow the mouse and the arrow keys, and the box draws
// the sheet with sample photos whenever something was changed. Lengths in the drawing are tenths of millimetres.

const form = document.querySelector("[data-layout]");
const drawing = form.querySelector("svg");
const place = document.getElementById("preview");
const perUnit = form.dataset.unit === "in" ? 254 : 10;
const step = form.dataset.unit === "in" ? 254 / 16 : 10;
const sides = ["left", "top", "width", "height"];
let held = null;
let asked = 0;
let timer;

form.querySelector("[data-script]").hidden = false;
for (const group of drawing.querySelectorAll("g")) {
  group.setAttribute("tabindex", "0");
  group.setAttribute("role", "button");
  group.setAttribute("aria-label", `${group.dataset.row.replace("-", " ")}: arrow keys move it`);
}

const field = (group, side) => form.elements[`${group.dataset.row}-${side}`];

function length(text) {
  const match = text.trim().replace(",", ".").match(/^([\d.]+)(?:\/([\d.]+))?\s*(mm|cm|in|")?$/);
  if (!match) return null;
  const unit = { mm: 10, cm: 100, in: 254, '"': 254 }[match[3]] ?? perUnit;
  return (Number(match[1]) / Number(match[2] ?? 1)) * unit;
}

const box = (group) => sides.map((side) => length(field(group, side).value) ?? 0);
const write = (group, side, tenths) => { field(group, side).value = String(Math.round((tenths / perUnit) * 1e4) / 1e4); };

function draw(group) {
  const [x, y, width, height] = box(group);
  const rect = group.querySelector("rect");
  for (const [name, value] of Object.entries({ x, y, width, height })) rect.setAttribute(name, value);
  const turn = Number(form.elements[`${group.dataset.row}-rotation_deg`]?.value) || 0;
  group.setAttribute("transform", turn ? `rotate(${-turn} ${x + width / 2} ${y + height / 2})` : "");
  const text = group.querySelector("text");
  text.setAttribute("x", x + width / 2);
  text.setAttribute("y", y + height / 2);
  const words = form.elements[`${group.dataset.row}-text`];
  if (words) text.textContent = words.value;
}

const paper = () => { const { width, height } = drawing.viewBox.baseVal; return [width, height]; };
const snapped = (value) => Math.round(value / step) * step;

function move(group, x, y) {
  const [, , width, height] = box(group);
  const [most, lowest] = paper();
  write(group, "left", Math.max(0, Math.min(x, most - width)));
  write(group, "top", Math.max(0, Math.min(y, lowest - height)));
  draw(group);
}

function size(group, width, height) {
  const [x, y] = box(group);
  const [most, lowest] = paper();
  write(group, "width", Math.max(step, Math.min(width, most - x)));
  write(group, "height", Math.max(step, Math.min(height, lowest - y)));
  draw(group);
}

function at(event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
}

drawing.addEventListener("pointerdown", (event) => {
  const group = event.target.closest("g");
  if (!group) return;
  const point = at(event);
  const [x, y, width, height] = box(group);
  const reach = Math.min(80, width / 3, height / 3);
  const isCorner = point.x > x + width - reach && point.y > y + height - reach;
  held = { group, isCorner, dx: point.x - (isCorner ? x + width : x), dy: point.y - (isCorner ? y + height : y) };
  drawing.setPointerCapture(event.pointerId);
  group.focus();
  event.preventDefault();
});
drawing.addEventListener("pointermove", (event) => {
  if (!held) return;
  const point = at(event);
  const x = snapped(point.x - held.dx);
  const y = snapped(point.y - held.dy);
  const [left, top] = box(held.group);
  if (held.isCorner) size(held.group, x - left, y - top);
  else move(held.group, x, y);
});
for (const name of ["pointerup", "pointercancel"]) {
  drawing.addEventListener(name, () => { if (held) { held = null; soon(); } });
}
drawing.addEventListener("keydown", (event) => {
  const group = event.target.closest("g");
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!group || !way) return;
  event.preventDefault();
  const far = event.shiftKey ? 100 : 10;
  const [x, y] = box(group);
  move(group, x + way[0] * far, y + way[1] * far);
  soon();
});

async function ask() {
  const number = ++asked;
  try {
    const answer = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form) });
    if (number !== asked) return; // a newer question is under way
    const told = await answer.json();
    const shown = [];
    for (const message of Object.values(told.errors ?? {})) {
      const line = document.createElement("p");
      line.className = "error";
      line.textContent = message;
      shown.push(line);
    }
    if (told.preview) {
      const image = document.createElement("img");
      image.className = "preview-sheet";
      image.src = told.preview;
      image.alt = "The sheet with sample photos";
      shown.push(image);
    }
    place.replaceChildren(...shown);
  } catch { /* the box is away for a moment: the next change asks again */ }
}

const soon = () => { clearTimeout(timer); timer = setTimeout(ask, 400); };
form.addEventListener("input", () => { drawing.querySelectorAll("g").forEach(draw); soon(); });
drawing.querySelectorAll("g").forEach(draw);
ask();
