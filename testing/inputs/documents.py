"""The user documentation: the README and the pages in docs/."""

from testing.servers.processes import ROOT

DOCUMENTS = {path: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))}
TEXT = "\n".join(DOCUMENTS.values())
