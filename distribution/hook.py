"""Build hook of the wheel: single files, which `sources` in pyproject.toml cannot place.

`vouch.pth` adds the folder `vouch` of site-packages to the path, so that our packages have the same names as in the
repository. An editable install needs none of them.
"""

from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES: Final = {"vouch.py": "vouch/vouch.py", "Procfile": "vouch/Procfile", "distribution/vouch.pth": "vouch.pth"}


class SingleFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Adds FILES to a wheel, but not to an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a build."""
        if version != "editable":
            build_data["force_include"].update(FILES)
