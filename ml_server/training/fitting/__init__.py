"""Fitting: rows in bins, folds of time, boosters and their average, calibration."""
