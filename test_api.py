"""The documented load test: `python test_api.py --rate 1.0 --fraud-ratio 0.5`. See load_test."""

from load_test.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
