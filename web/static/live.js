// Keeps the parts of a page that are marked data-live up to date: the server says that something changed, and the
// part is fetched anew. A part is left alone while somebody is in one of its fields, or has changed one.

const parts = [...document.querySelectorAll("[data-live]")];

function isChanged(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.type === "hidden") return false;
  if (!field.options) return field.value !== field.defaultValue;
  const chosen = Math.max(0, [...field.options].findIndex((one) => one.defaultSelected));
  return field.selectedIndex !== chosen;
}

function isInUse(part) {
  const fields = [...part.querySelectorAll("input, select, textarea")];
  return fields.some((field) => field === document.activeElement || isChanged(field));
}

async function refresh(part) {
  if (isInUse(part)) return;
  const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
  if (answer.redirected) return location.reload(); // logged out meanwhile
  if (!answer.ok) return;
  const html = await answer.text();
  if (html === part.dataset.shown || isInUse(part)) return;
  part.dataset.shown = html;
  const wasOpen = [...part.querySelectorAll("details")].map((one) => one.open);
  part.innerHTML = html;
  part.querySelectorAll("details").forEach((one, number) => { one.open ||= wasOpen[number] ?? false; });
}

// A page that waits for the box to come back goes on by itself.
const waiting = document.querySelector("[data-wait]");
if (waiting) {
  const back = async () => {
    try {
      const answer = await fetch("/login", { cache: "no-store" });
      if (answer.ok || answer.redirected) return location.assign(waiting.dataset.wait);
    } catch { /* not yet */ }
    setTimeout(back, 1000);
  };
  setTimeout(back, 3000);
}

// On a phone the menu is one line that scrolls: where one is stands in it.
document.querySelector(".top [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

if (parts.length) {
  let busy = false;
  let again = false;
  const refreshAll = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      do { again = false; await Promise.all(parts.map(refresh)); } while (again);
    } catch { /* the box is away for a moment: the stream comes back and so does this */ } finally { busy = false; }
  };
  new EventSource("/events").addEventListener("changed", refreshAll);
  setInterval(refreshAll, 30000); // "2 min ago" moves on although nothing happens
}
