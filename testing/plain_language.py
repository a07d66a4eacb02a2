"""`python -m testing.plain_language`: find phrases and names that this project avoids, and print plain alternatives.

Prints `file:line: phrase -> alternative` and exits with 1 if there is one. `make check` runs it. A line that must quote
a phrase ends with the comment `plain: quoted`.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PHRASES: Final[Mapping[str, str]] = {
    r"\bso (long|often|few) (a|an|as|is|are|may)\b": "limit, interval, at most ...",
    r"\bso (many|much) (of|are|is|orders|rows|bytes|seconds|calls|times)\b": "limit, at most ...",
    r"\bwhoever\b": "the caller, the reader ...",
    r"\bwho (comes late|asks|hears|says)\b": "the caller, the reader ...",
    r"\b(is|are|was|were|where it is) away\b": "unavailable",
    r"\bspeaks? (for|against)\b": "raises risk, lowers risk",
    r"\bwhat holds\b": "a noun: results, guarantees ...",
    r"\b(is|are|was|were|be|been) told\b": "gets, is sent, is returned",
    r"\btells? (of|that|what|who|how|whether|which|where|when|why)\b": "says, returns, reports",
    r"\b(is|are|was|were|be|been) asked\b": "is called, is requested",
    r"\b(hears?|heard) (of|that|it|signals)\b": "receives, is notified",
    r"\bfor ever\b": "indefinitely; name a function `run`",
    r"\bnobody (is there|answers|hears|asks)\b": "unavailable, not listening",
    r"\bgiven back\b": "released",
    r"\bgives? back\b": "release",
    r"\bgives? way\b": "yield, lower the priority",
    r"\bforeign name\b": "DNS rebinding, another host name",
    r"\bhangs? on\b": "belongs to, depends on, is attached to",
    r"\bas it stands\b": "unchanged",
    r"\bin its turn\b": "in order",
    r"\bwithout a wire\b|\bover a wire\b|\bno wire\b": "in process, over the network",
    r"\bby hand of\b|\bthe house\b": "the project",
    r"\bcome(s)? again\b": "retry",
    r"\bcannot be told\b|\btold apart\b|\btell apart\b": "distinguished",
    r"\bthe dialect\b": "REST JSON",
    r"\bsecond look\b|\bthird look\b|\bsecond looks\b": "blind review",
}
"""Regular expressions over prose and code, in any case, and what to write instead."""
NAMES: Final[Mapping[str, str]] = {
    "told": "to_proto, export_records, a noun",
    "asked": "request, context",
    "filled": "with_completed",
    "kept": "recorded",
    "followed": "relay_stream",
    "lonely": "standalone",
    "for_ever": "run",
    "disguised": "make_indistinguishable",
    "shaped": "apply_settings",
    "secured": "apply_tls",
    "Asked": "DecisionContext",
    "Kept": "RecordedDecision",
    "Said": "VerdictDetails",
    "Seen": "HistoryPosition",
    "Opening": "NewCase",
    "Gate": "AccessMiddleware, SessionMiddleware",
    "Door": "Transport",
    "Doors": "Transports",
}
"""Python identifiers, and what to write instead."""
SUFFIXES: Final = (".py", ".md", ".proto", ".lua", ".html", ".j2", ".yaml", ".yml", ".toml", ".ipynb")
_EXEMPT: Final = ("generated/", "testing/plain_language.py", "CHANGELOG.md", "conformance/vectors", "bench/results/")
_QUOTED: Final = "plain: quoted"
_PHRASES: Final = [(re.compile(pattern, re.IGNORECASE), plain) for pattern, plain in PHRASES.items()]
_NAMES: Final = re.compile(rf"(?<![\w\"'`.-])({'|'.join(NAMES)})(?=\s*[=(:,)\]]|\.)")


def found_in(name: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the phrase or name, and the alternative for each that a file contains."""
    for number, line in enumerate(text.splitlines(), 1):
        if _QUOTED in line:
            continue
        for pattern, plain in _PHRASES:
            if match := pattern.search(line):
                yield number, match[0], plain
        code = line.partition("#")[0]
        if name.endswith(".py") and not code.lstrip().startswith(('"', "'", "f'", 'f"')):
            for match in _NAMES.finditer(code):
                yield number, match[1], NAMES[match[1]]


def main() -> int:
    """Check all files that git tracks."""
    known = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split()
    files = [
        name for name in known if name.endswith(SUFFIXES) and not name.startswith(_EXEMPT) and Path(name).is_file()
    ]
    count = 0
    for name in files:
        for number, phrase, plain in found_in(name, Path(name).read_text(errors="replace")):
            print(f"{name}:{number}: {phrase} -> {plain}")
            count += 1
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
