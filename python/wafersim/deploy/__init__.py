"""From wafers to a deployment: serving, training, energy, cost."""
