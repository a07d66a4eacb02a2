// Pages work without scripts. These add keyboard shortcuts, local times, live rows, lease renewal, and undo.
import { showTimes } from "./times.js";
import { listenForKeys } from "./keys.js";
import { followChanges, refreshRegularly } from "./live.js";
import { keepLease } from "./lease.js";
import { delayVerdict } from "./undo.js";
import { tryThresholds } from "./thresholds.js";

showTimes(document);
listenForKeys();
followChanges(document.getElementById("rows"), document.getElementById("changed"));
refreshRegularly(document.getElementById("overview"));
keepLease(document.querySelector("[data-lease]"));
delayVerdict(document.getElementById("resolve"), document.getElementById("undo"));
tryThresholds(document.getElementById("thresholds"));
