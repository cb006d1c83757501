"""``model.py`` files for Triton's python backend, copied into the model repository; they import nothing of ours."""
