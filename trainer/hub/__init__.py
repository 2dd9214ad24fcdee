"""The Hugging Face Hub: is it there, and a repo's files fetched safely. Nothing here knows model types or torch."""
