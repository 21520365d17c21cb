"""Estimators as scikit-learn has them, for series: a classifier and a regressor, and features without training.

    MultiresFeatures      `features.py`: trees (`bank.py`), and summaries of them over time (`summaries.py`, `quantiles.py`)
    MultiresClassifier    `classifier.py`, and MultiresRegressor, `regressor.py`; what they share is in `network_estimator.py`:
                          networks (`learning.py`, `augmentation.py`, settings from `defaults.py`), ridge regression on features
                          beside them (`ridge.py`), and what each is worth (`cross_fitting.py`)
    files                 `saved.py`, `saved_ridge.py`; `describe.py` says in words what a file holds

All of them are given series as `series.py` packs them, standardised by `standard.py`.
"""
