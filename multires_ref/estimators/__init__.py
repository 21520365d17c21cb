"""Estimators as scikit-learn has them: from an array of series to features."""
