"""What is known about serving engines: hardware, models, lengths, weight formats, defaults and flags."""
