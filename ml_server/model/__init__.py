"""The model as mathematics: terms, log-odds, calibration, explanations. Pure."""
