"""`python -m data_gen` is `vouch generate`."""

from data_gen.commands.generate import main

if __name__ == "__main__":
    raise SystemExit(main())
