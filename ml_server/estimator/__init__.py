"""The model with scikit-learn's interface: `vouch.Model`, and the artifact `fraud_model.joblib`."""
