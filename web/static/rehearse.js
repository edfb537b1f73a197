// Live preview: what the form's render profile (or the render job's profiles) would make of a record. The box draws it;
// this only asks again when something was changed, and shows the answer.

const form = document.querySelector("[data-rehearse]");
const place = document.getElementById("rehearsal");
const record = document.getElementById("record");
let asked = 0;

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function labelOf(field) {
  const input = form.elements[field] ?? form.elements[field.replace(/_um$/, "")];
  return input?.labels?.[0]?.textContent ?? field;
}

function sheet(one) {
  const figure = element("figure", "", "card");
  if (one.preview) {
    const image = element("img");
    image.src = one.preview;
    image.alt = one.file;
    figure.append(image);
  }
  const caption = element("figcaption");
  caption.append(element("p", `${one.file} · ${one.size} · ${one.quantity}×`));
  if (one.problem) caption.append(element("p", `Cannot be drawn: ${one.problem}`, "error"));
  for (const flag of one.flags) caption.append(element("p", flag, "flag"));
  if (one.hold) caption.append(element("p", "Would be held until a person decides.", "flag"));
  figure.append(caption);
  return figure;
}

function show(answer) {
  const parts = [];
  for (const [field, message] of Object.entries(answer.errors ?? {}))
    parts.push(element("p", field ? `${labelOf(field)}: ${message}` : message, "error"));
  if (answer.sheets) {
    const paper = Object.entries(answer.paper).map(([size, count]) => `${count} × ${size}`).join(", ");
    const undrawable = answer.sheets.filter((one) => one.problem).length;
    const files = `${answer.sheets.length} sheet${answer.sheets.length === 1 ? "" : "s"}`
      + (undrawable ? `, of which ${undrawable} cannot be drawn` : "");
    parts.push(element("p", paper ? `${files}; paper: ${paper}` : `${files}, none printed`));
    for (const problem of answer.problems) parts.push(element("p", problem, "error"));
    const looked = answer.sheets.filter((one) => one.preview || one.problem);
    const sheets = element("div", "", "sheets");
    sheets.append(...looked.map(sheet));
    parts.push(sheets);
    if (looked.length < answer.sheets.length) parts.push(element("p", `… and ${answer.sheets.length - looked.length} more.`));
  }
  place.replaceChildren(...parts);
}

async function ask() {
  const number = ++asked;
  const body = new FormData(form);
  body.set("record", record.value);
  body.set("profile_id", place.dataset.profile);
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.dataset.rehearse, { method: "POST", body });
    if (number !== asked) return; // a newer question is under way
    if (answer.ok || answer.status === 422) show(await answer.json());
    else place.replaceChildren(element("p", "The preview could not be drawn. Change something to try again.", "error"));
  } catch {
    if (number === asked) place.replaceChildren(element("p", "The box does not answer.", "error"));
  } finally {
    if (number === asked) place.removeAttribute("aria-busy");
  }
}

let timer;
const soon = () => { clearTimeout(timer); timer = setTimeout(ask, 400); };
form.addEventListener("input", soon);
record.addEventListener("change", ask);
ask();
