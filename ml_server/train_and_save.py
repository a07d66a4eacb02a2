"""`python -m ml_server.train_and_save` is the documented name of `vouch train`."""

from ml_server.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
