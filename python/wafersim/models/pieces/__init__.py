"""What programs of decode and prefill layers share."""
