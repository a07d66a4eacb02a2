"""The documented listing of the review zone: `python test_review_transactions.py`. See load_test."""

from load_test.review_zone import main

if __name__ == "__main__":
    raise SystemExit(main())
