"""Networks with weights as after training, for tests of weights and exports."""


def with_statistics(model, rng, least=0.5, most=1.5):
    """Gives the batch norms of a network scales, offsets and statistics that are not the initial ones."""
    for variable in model.variables:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(least, most, variable.shape))
        elif variable.path.endswith(("beta", "moving_mean")):
            variable.assign(rng.normal(0, 0.1, variable.shape))
    return model
