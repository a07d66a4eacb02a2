// The page works without this. It adds keys, times in the viewer's zone, live rows, leases that stay alive, and undo.
import { showTimes } from "./times.js";
import { listenForKeys } from "./keys.js";
import { follow, again } from "./live.js";
import { keepLease } from "./lease.js";
import { delayVerdict } from "./undo.js";
import { tryThresholds } from "./thresholds.js";

showTimes(document);
listenForKeys();
follow(document.getElementById("rows"), document.getElementById("changed"));
again(document.getElementById("overview"));
keepLease(document.querySelector("[data-lease]"));
delayVerdict(document.getElementById("resolve"), document.getElementById("undo"));
tryThresholds(document.getElementById("thresholds"));
