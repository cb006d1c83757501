"""What tests need from more than one folder: events to publish, a worker to run, outputs to read."""
