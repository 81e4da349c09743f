"""Language models on wafers: accounting, layers, placement, speed."""
