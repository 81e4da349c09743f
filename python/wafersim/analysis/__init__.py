"""What runs mean: where their time went, on which constants it rests, and fitting those constants."""
