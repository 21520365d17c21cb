"""One answer to each question that every room asks: how files are written and read, and what is installed."""
