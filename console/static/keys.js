// Keyboard shortcuts: one key per action, inactive in text fields.
let current = -1;

function rows() {
  return [...document.querySelectorAll("tr[data-row]")];
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  current = Math.min(Math.max(current + step, 0), all.length - 1);
  all.forEach((row, index) => row.classList.toggle("here", index === current));
  all[current].querySelector("a")?.focus();
}

function press(key) {
  const target = document.querySelector(`[data-key="${key}"]`);
  if (!target) return false;
  if (target.tagName === "FORM") target.requestSubmit();
  else target.click();
  return true;
}

export function listenForKeys() {
  const help = document.getElementById("help");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "?" && help) help.open ? help.close() : help.showModal();
    else if (help?.open) return;
    else if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
    else if (event.key === "q") location.assign(document.querySelector("a.brand").href);
    else if (event.key === "c") document.querySelector('[data-focus="c"]')?.focus();
    else if (event.key === "z") document.querySelector("#undo:not([hidden]) button")?.click();
    else if (!press(event.key)) {
      // On other pages n opens the queue.
      if (event.key === "n") document.querySelector("a.brand").click();
      return;
    }
    event.preventDefault();
  });
  document.documentElement.dataset.keys = "ready";
}
