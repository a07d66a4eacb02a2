// Converts times from UTC to the viewer's time zone; the title keeps the original.
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export function showTimes(part) {
  for (const element of part.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    element.title = element.textContent;
    element.textContent = format.format(at);
  }
  for (const label of part.querySelectorAll("text[data-at]")) {
    label.textContent = (label.dataset.days === "1" ? day : hour).format(new Date(1000 * Number(label.dataset.at)));
  }
  for (const zone of part.querySelectorAll("[data-zone]")) {
    zone.textContent = `(${format.resolvedOptions().timeZone})`;
  }
}
