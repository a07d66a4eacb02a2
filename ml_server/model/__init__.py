"""Mathematics of the model: terms, log-odds, calibration, explanations. Pure."""
