"""MkDocs hooks: links that lead out of docs/ to a file of the project become pages that show the file.

So the same relative links work on a forge and on the site, and the site needs no repository on another host.
"""

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = "source"
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")
_LANGUAGES: Final = {
    ".py": "python",
    ".json": "json",
    ".yaml": "yaml",
    ".toml": "toml",
    ".proto": "proto",
    ".lua": "lua",
}


def project_file(page: str, link: str) -> str:
    """Return the path in the project of a link from a page of docs/; empty for a link that stays in docs/."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return "" if path.startswith("docs/") or not (ROOT / path).is_file() else path


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each file of the project that a page links to."""
    linked = set[str]()
    for page in files.documentation_pages():
        linked |= {project_file(page.src_uri, match[1]) for match in _LINK.finditer(page.content_string)}
    for path in sorted(linked - {""}):
        language = _LANGUAGES.get(Path(path).suffix, "text")
        fence = "`" * 8
        text = f"---\nsearch: {{exclude: true}}\n---\n# {path}\n\n{fence}{language}\n{(ROOT / path).read_text()}\n{fence}\n"
        files.append(File.generated(config, f"{FOLDER}/{path}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead links out of docs/ to those pages."""
    here: str = page.file.src_uri

    def moved(match: re.Match[str]) -> str:
        path = project_file(here, match[1])
        if not path:
            return match[0]
        return f"]({posixpath.relpath(f'{FOLDER}/{path}.md', posixpath.dirname(here) or '.')})"

    return markdown if here.startswith(f"{FOLDER}/") else _LINK.sub(moved, markdown)
