// A case stays its reviewer's while its page is open; a lost one is told before work is lost.
const EVERY = 20_000;

export function keepLease(line) {
  if (!line) return;
  let until = Number(line.dataset.until) * 1000;
  let lost = false;

  function show() {
    if (lost) return;
    const left = Math.max(0, Math.round((until - Date.now()) / 1000));
    line.textContent = left > 0 ? `Yours for ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "The claim has run out.";
  }

  async function renew() {
    if (lost) return;
    try {
      const body = new URLSearchParams({ csrf: line.dataset.csrf });
      const answer = await fetch(line.dataset.lease, { method: "POST", body });
      const said = await answer.json();
      if (said.until) until = Date.parse(said.until);
      if (said.lost) {
        lost = true;
        line.textContent = said.lost;
        line.className = "problem";
        line.setAttribute("role", "alert");
      }
    } catch {
      // Away for a moment: the clock above goes on, and the next try may reach it.
    }
  }

  show();
  setInterval(show, 1000);
  setInterval(renew, EVERY);
  document.addEventListener("visibilitychange", () => document.hidden || renew());
}
