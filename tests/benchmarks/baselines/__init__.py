"""What the worker is compared with: the same libraries doing one part of the work, as processes of their own."""
