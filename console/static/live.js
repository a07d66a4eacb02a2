// Live updates. Rows never move under the pointer or the focus: a button offers the update instead.
import { showTimes } from "./times.js";

const DELAY = 400; // milliseconds, to combine several changes

async function replace(part, url) {
  const response = await fetch(url + location.search, { headers: { accept: "text/html" } });
  if (!response.ok || response.redirected) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").body;
  part.replaceChildren(...fresh.childNodes);
  showTimes(part);
}

export function followChanges(part, changed) {
  if (!part || !part.dataset.live) return;
  let timer = 0;
  const show = async () => {
    changed.hidden = true;
    await replace(part, part.dataset.rows);
  };
  changed.querySelector("[data-refresh]").addEventListener("click", show);
  const source = new EventSource(part.dataset.live);
  source.addEventListener("message", (event) => {
    if (!event.data) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (part.matches(":hover") || part.contains(document.activeElement)) changed.hidden = false;
      else show();
    }, DELAY);
  });
  addEventListener("pagehide", () => source.close());
}

export function refreshRegularly(part) {
  if (!part) return;
  setInterval(async () => {
    if (document.hidden) return;
    const response = await fetch(location.href);
    if (!response.ok || response.redirected) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById(part.id);
    if (fresh) part.replaceChildren(...fresh.childNodes);
  }, Number(part.dataset.again) * 1000);
}
