"""Tests: each states one promise of the project, and checks it with real parts."""
