// Rows follow what happens, but never jump under a pointer or a focus: then a button offers the change.
import { showTimes } from "./times.js";

const PAUSE = 400;

async function replace(part, from) {
  const answer = await fetch(from + location.search, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
  part.replaceChildren(...fresh.childNodes);
  showTimes(part);
}

export function follow(part, changed) {
  if (!part || !part.dataset.live) return;
  let waiting = 0;
  const show = async () => {
    changed.hidden = true;
    await replace(part, part.dataset.rows);
  };
  changed.querySelector("[data-refresh]").addEventListener("click", show);
  const source = new EventSource(part.dataset.live);
  source.addEventListener("message", (event) => {
    if (!event.data) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (part.matches(":hover") || part.contains(document.activeElement)) changed.hidden = false;
      else show();
    }, PAUSE);
  });
  addEventListener("pagehide", () => source.close());
}

export function again(part) {
  if (!part) return;
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
    if (fresh) part.replaceChildren(...fresh.childNodes);
  }, Number(part.dataset.again) * 1000);
}
