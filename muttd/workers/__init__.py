"""The pipeline's workers: intake, alerter, forwarder and what looks after them."""
