// Renews the lease of a claimed case while its page is open, and shows an alert if the claim is lost.
const RENEWAL_INTERVAL = 20_000; // milliseconds

export function keepLease(line) {
  if (!line) return;
  let until = Number(line.dataset.until) * 1000;
  let lost = false;

  function show() {
    if (lost) return;
    const left = Math.max(0, Math.round((until - Date.now()) / 1000));
    line.textContent = left > 0 ? `Claimed by you for ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "Your claim has expired.";
  }

  async function renew() {
    if (lost) return;
    try {
      const body = new URLSearchParams({ csrf: line.dataset.csrf });
      const response = await fetch(line.dataset.lease, { method: "POST", body });
      const result = await response.json();
      if (result.until) until = Date.parse(result.until);
      if (result.lost) {
        lost = true;
        line.textContent = result.lost;
        line.className = "problem";
        line.setAttribute("role", "alert");
      }
    } catch {
      // The console is unavailable: the countdown continues, and the next renewal retries.
    }
  }

  show();
  setInterval(show, 1000);
  setInterval(renew, RENEWAL_INTERVAL);
  document.addEventListener("visibilitychange", () => document.hidden || renew());
}
