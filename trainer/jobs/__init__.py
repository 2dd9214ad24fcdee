"""Fine-tuning on a rented machine: a Hugging Face Job on the visitor's own account."""
