"""What is measured of a trained model, through a `predict_fn`."""
