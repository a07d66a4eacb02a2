"""Custom patterns: a Python file whose `PATTERNS` extend the declared ones, or replace those of the same name."""

import importlib.util
from pathlib import Path

from data_gen.language.pattern import Pattern, PatternError
from data_gen.patterns import PATTERNS


def load_patterns(path: Path | None) -> tuple[Pattern, ...]:
    """Return the declared patterns combined with those of a file; raise PatternError for an invalid file."""
    if path is None:
        return PATTERNS
    if not path.is_file():
        raise PatternError(f"{path}: there is no such file")
    spec = importlib.util.spec_from_file_location("vouch_custom_patterns", path)
    if spec is None or spec.loader is None:
        raise PatternError(f"{path}: this is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PatternError(f"{path}: {type(error).__name__}: {error}") from error
    own = getattr(module, "PATTERNS", None)
    if not isinstance(own, (list, tuple)) or not all(isinstance(pattern, Pattern) for pattern in own):
        raise PatternError(f"{path}: it must define PATTERNS, a tuple of Pattern")
    names = [pattern.name for pattern in own]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PatternError(f"{path}: pattern {twice[0]} is declared twice")
    merged = {pattern.name: pattern for pattern in PATTERNS} | {pattern.name: pattern for pattern in own}
    return tuple(merged.values())
