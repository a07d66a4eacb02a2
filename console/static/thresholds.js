// Simulates other thresholds on recent orders, whose scores the server counted in hundredths.
export function tryThresholds(form) {
  if (!form) return;
  const counts = form.dataset.counts.split(" ").map(Number);
  const all = counts.reduce((sum, one) => sum + one, 0);
  const deny = form.querySelector("#deny");
  const approve = form.querySelector("#approve");

  function show(event) {
    if (Number(deny.value) > Number(approve.value)) {
      if (event.target === deny) approve.value = deny.value;
      else deny.value = approve.value;
    }
    const [low, high] = [Number(deny.value), Number(approve.value)];
    let denied = 0;
    let approved = 0;
    counts.forEach((number, place) => {
      const score = (place + 0.5) / 100;
      if (score <= low) denied += number;
      else if (score >= high) approved += number;
    });
    form.querySelector("#deny-out").value = low.toFixed(2);
    form.querySelector("#approve-out").value = high.toFixed(2);
    form.querySelector("#would").textContent =
      `Of ${all} orders: ${approved} approved, ${all - approved - denied} sent to review, ${denied} denied, by score only.`;
    form.querySelector("#file").textContent =
      `thresholds: {approve: ${high.toFixed(2)}, deny: ${low.toFixed(2)}}`;
  }

  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
}
