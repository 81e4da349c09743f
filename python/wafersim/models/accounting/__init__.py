"""What a model is and asks for, to the integer, without any machine."""
