"""What users read: the README and what stands in docs/."""

from testing.servers.processes import ROOT

DOCUMENTS = {path: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
TEXT = "\n".join(DOCUMENTS.values())
