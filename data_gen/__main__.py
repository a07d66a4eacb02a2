"""`python -m data_gen` is `vouch generate`."""

from data_gen.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
