"""`python -m ml_server.train_and_save`, the documented alias of `vouch train`."""

from ml_server.commands.train import main

if __name__ == "__main__":
    raise SystemExit(main())
