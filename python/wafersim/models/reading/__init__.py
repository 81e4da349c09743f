"""From a config.json to a model, with one clear error for what is missing."""
