// Delays a verdict by some seconds, in which it can be undone. Leaving the page sends it at once.

export function delayVerdict(form, line) {
  if (!form || !line) return;
  const seconds = Number(form.dataset.undo);
  let timer = 0;
  let sent = false;
  let verdict = "";

  function body() {
    const data = new URLSearchParams(new FormData(form));
    data.set("verdict", verdict);
    return data;
  }

  function send() {
    sent = true;
    clearTimeout(timer);
    const chosen = document.createElement("input");
    chosen.type = "hidden";
    chosen.name = "verdict";
    chosen.value = verdict;
    form.append(chosen);
    form.submit();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (sent || timer) return;
    verdict = event.submitter?.value ?? "";
    line.querySelector("span").textContent = `${verdict === "approve" ? "Approving" : "Denying"} in ${seconds} seconds.`;
    line.hidden = false;
    timer = setTimeout(send, seconds * 1000);
  });
  line.querySelector("button").addEventListener("click", () => {
    clearTimeout(timer);
    timer = 0;
    line.hidden = true;
  });
  addEventListener("pagehide", () => {
    if (timer && !sent) {
      sent = true;
      fetch(form.action, { method: "POST", body: body(), keepalive: true });
    }
  });
}
